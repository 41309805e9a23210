/* deps: fleet/telemetry base stats */
/* A histogram from a table column: whatever is accepted is valid and has the same bytes again. */
#include "fleet/telemetry/hist.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct exphist hist;
    uint8_t again[HIST_MAX_BYTES];
    if (hist_decode(data, size, &hist, &err) < 0)
        return 0;
    if (!exphist_valid(&hist) || hist_encode(&hist, again) != size || memcmp(again, data, size) != 0)
        abort();
    return 0;
}
