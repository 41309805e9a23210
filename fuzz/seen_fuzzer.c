/* deps: wire base */
#include "round_trip.h"
#include "wire/seen.h"

#include <stdlib.h>
#include <string.h>

FUZZ_ROUND_TRIP(seen_list, seen_parse, seen_format)
