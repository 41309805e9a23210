/* deps: forge/calib */
/* An observation's file: what is read holds what observe.h promises, and is written again byte by byte. */
#include "forge/calib/observe.h"

#include "base/buf.h"

#include <assert.h>
#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct observed *tensor)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < OBSERVE_BINS; i++)
        sum += tensor->bins[i];
    assert(sum == tensor->count && isfinite(tensor->min) && isfinite(tensor->max) &&
           tensor->min <= tensor->max);
    assert(tensor->name[0] && tensor->dim_count <= RELEASE_MAX_DIMS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_observation struct observation observation = {0};
    cleanup_buf struct buf again = BUF_INIT(OBSERVE_MAX_FILE_BYTES);
    struct err err = {0};
    if (observation_parse(data, size, &observation, &err) < 0) {
        assert(err.code == ERR_INVALID || err.code == ERR_NO_MEMORY);
        return 0;
    }
    for (size_t i = 0; i < observation.count; i++) {
        check(&observation.tensors[i]);
        assert(observation_find(&observation, observation.tensors[i].name) == &observation.tensors[i]);
    }
    assert(observation_format(&observation, &again, &err) == 0);
    assert(again.len == size && memcmp(again.data, data, size) == 0);
    return 0;
}
