#include "wire/remote_write.h"
#include "wire/protobuf_write.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct remote_label *)a)->name, ((const struct remote_label *)b)->name);
}

int remote_write_sample(struct buf *out, const struct remote_label *labels, size_t count, double value,
                        int64_t time_ms, struct err *err)
{
    struct remote_label sorted[REMOTE_MAX_LABELS];
    if (!count || count > REMOTE_MAX_LABELS)
        return err_set(err, ERR_INVALID, "remote write: %zu labels, the limit is %d", count,
                       REMOTE_MAX_LABELS);
    memcpy(sorted, labels, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], by_name);
    struct pb_writer w = pb_into(out);
    size_t series = pb_open(&w, 1);
    for (size_t i = 0; i < count; i++) {
        if (!*sorted[i].value)
            continue;
        size_t label = pb_open(&w, 1);
        pb_put_text(&w, 1, sorted[i].name);
        pb_put_text(&w, 2, sorted[i].value);
        pb_close(&w, label);
    }
    size_t sample = pb_open(&w, 2);
    pb_put_double(&w, 1, value);
    pb_put_varint(&w, 2, (uint64_t)time_ms);
    pb_close(&w, sample);
    pb_close(&w, series);
    return pb_done(&w, err);
}
