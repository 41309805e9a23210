/* deps: wire */
#include "round_trip.h"
#include "wire/api.h"

FUZZ_ROUND_TRIP(api_enroll, api_enroll_parse, api_enroll_format)
