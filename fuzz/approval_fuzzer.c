/* deps: wire base */
#include "round_trip.h"
#include "wire/approval.h"

FUZZ_ROUND_TRIP(approval, approval_parse, approval_format)
