/* deps: wire */
#include "round_trip.h"
#include "wire/api.h"

FUZZ_ROUND_TRIP(api_renew, api_renew_parse, api_renew_format)
