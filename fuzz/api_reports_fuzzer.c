/* deps: wire */
#include "round_trip.h"
#include "wire/api.h"

FUZZ_ROUND_TRIP(api_reports, api_reports_parse, api_reports_format)
