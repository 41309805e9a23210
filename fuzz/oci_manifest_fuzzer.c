/* deps: wire */
#include "round_trip.h"
#include "wire/oci.h"

FUZZ_ROUND_TRIP(oci_manifest, oci_manifest_parse, oci_manifest_format)
