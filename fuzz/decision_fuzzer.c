/* deps: wire base */
#include "round_trip.h"
#include "wire/decision.h"

#include <stdlib.h>
#include <string.h>

FUZZ_ROUND_TRIP(decision, decision_parse, decision_format)
