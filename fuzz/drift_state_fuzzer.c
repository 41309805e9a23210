/* deps: stats/drift stats base */
/* A saved state of a drift detector: refused, or something that goes on with finite numbers. Its checksum and print are made to fit, so that what is behind
 * them is reached. */
#include "stats/drift/drift.h"

#include <assert.h>
#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct drift *new_drift(void *memory)
{
    struct drift_reference references[SIGNALS] = {0};
    struct drift_options options = {.block_frames = 2, .contexts = 2, .burn_in = 4, .arl_blocks = 1000};
    struct err err = {0};
    struct drift *drift = NULL;
    for (int i = 0; i < 3; i++)
        references[i] = (struct drift_reference){.mean = 0.5,
                                                 .sd = 0.1,
                                                 .tolerance = 0.01,
                                                 .memory = 2,
                                                 .edges = {0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F, 0.7F}};
    int rc = drift_init(memory, references, &options, &drift, &err);
    assert(rc == 0);
    (void)rc;
    return drift;
}

/* As its own: print and checksum of a state that this detector saved. */
static void make_fit(const struct drift *drift, uint8_t *state, size_t size)
{
    static uint8_t own[DRIFT_STATE_MAX];
    uint64_t sum = 0xcbf29ce484222325U;
    if (size < 24 || drift_save(drift, own, sizeof own) < 24)
        return;
    memcpy(state, own, 16);
    for (size_t i = 0; i < size - 8; i++)
        sum = (sum ^ state[i]) * 0x100000001b3U;
    memcpy(state + size - 8, &sum, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _Alignas(16) static uint8_t memory[DRIFT_STATE_MAX];
    static uint8_t state[DRIFT_STATE_MAX];
    struct drift *drift = new_drift(memory);
    struct drift_report report;
    struct err err = {0};
    if (drift_restore(drift, data, size, &err) < 0)
        assert(err.code != ERR_NONE);
    size = size < sizeof state ? size : sizeof state;
    memcpy(state, data, size);
    make_fit(drift, state, size);
    if (drift_restore(drift, state, size, &err) < 0)
        return 0;
    for (uint32_t i = 0; i < 40; i++)
        drift_frame(drift, (float[SIGNALS]){0.5F, NAN, 1e30F}, i / 8 % 3);
    drift_read(drift, &report);
    assert(isfinite(report.log10_e));
    for (int i = 0; i < SIGNALS; i++)
        assert(!isnan(report.signals[i].log10_e) && isfinite(report.signals[i].shift));
    return 0;
}
