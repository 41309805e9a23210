/* deps: wire */
#include "round_trip.h"
#include "wire/api.h"

FUZZ_ROUND_TRIP(api_assignment, api_assignment_parse, api_assignment_format)
