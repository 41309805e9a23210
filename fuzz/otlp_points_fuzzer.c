/* deps: wire */
/* Any bytes as OTLP points: never a crash; what is taken is written and taken again, the same. */
#include "wire/otlp_points.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct otlp_points first, second;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    uint64_t skipped;
    if (otlp_points_parse(data, size, &first, &skipped, &err) < 0 || first.seq == 0)
        return 0;
    struct buf out = BUF_INIT(1 << 20);
    if (otlp_points_format(&first, &out, &err) < 0 ||
        otlp_points_parse(out.data, out.len, &second, &skipped, &err) < 0)
        abort();
    if (skipped || first.count != second.count)
        abort();
    for (size_t i = 0; i < first.count; i++)
        if (strcmp(first.points[i].name, second.points[i].name) != 0 ||
            first.points[i].value != second.points[i].value)
            abort();
    buf_fini(&out);
    return 0;
}
