/* deps: wire */
#include "round_trip.h"
#include "wire/release.h"

FUZZ_ROUND_TRIP(release, release_parse, release_format)
