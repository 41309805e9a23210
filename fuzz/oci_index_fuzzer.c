/* deps: wire */
#include "round_trip.h"
#include "wire/oci.h"

FUZZ_ROUND_TRIP(oci_index, oci_index_parse, oci_index_format)
