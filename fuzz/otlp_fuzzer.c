/* deps: wire */
/* Any bytes as OTLP: never a crash; histograms that come out can be merged; what is taken is written and
 * taken again. */
#include "wire/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct otlp_export first, second;

static void merge_all(void)
{
    struct exphist sum;
    exphist_init(&sum);
    exphist_add(&sum, 1e-300, 1);
    for (size_t i = 0; i < first.window_count; i++) {
        exphist_merge(&sum, &first.windows[i].latency_ms);
        exphist_merge(&sum, &first.windows[i].frame_ms);
    }
    if (sum.used > EXPHIST_BUCKETS)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (otlp_parse(data, size, &first, &err) < 0 || first.seq == 0)
        return 0;
    merge_all();
    struct buf out = BUF_INIT(1 << 20);
    if (otlp_format(&first, &out, &err) < 0 || otlp_parse(out.data, out.len, &second, &err) < 0)
        abort();
    if (first.seq != second.seq || strcmp(first.stream, second.stream) != 0)
        abort();
    buf_fini(&out);
    return 0;
}
