/* POST /api/v1/samples: frames that robots chose for people to look at. Numbered, each taken in once; the picture is on disk before the number is. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "sys/hash.h"
#include "wire/api.h"
#include "wire/sample.h"

#include <math.h>

enum { MOST_OF_A_ROBOT = 2000 };
static const uint64_t MOST_BYTES_OF_A_ROBOT = 128ull << 20;

static double best_score(const struct sample *sample)
{
    double best = NAN;
    for (uint32_t i = 0; i < sample->count; i++) {
        double score = (double)(sample->is_values ? sample->values[i] : sample->detections[i].score);
        best = isnan(best) || score > best ? score : best;
    }
    return best;
}

static struct review_row row_of(const struct call *call, const struct sample *sample,
                                const struct digest *digest, size_t len)
{
    struct review_row row = {.release = sample->release,
                             .sample = *digest,
                             .bytes = len,
                             .time_ms = sample->time_ms,
                             .received_ms = clock_wall_ms(),
                             .from_ms = sample->from_ms,
                             .until_ms = sample->until_ms,
                             .reason = sample->reason,
                             .probability = sample->probability,
                             .score = best_score(sample),
                             .count = sample->count};
    str_copy(row.robot, sizeof row.robot, call->robot.id);
    str_copy(row.site, sizeof row.site, view_site(&call->robot));
    return row;
}

/* What was decided goes before what is open, and everything before an alarm that nobody has judged. */
static int make_room(struct call *call, size_t len, struct err *err)
{
    struct store *store = call->fleet->store;
    for (;;) {
        uint64_t count = 0, bytes = 0;
        struct review_row victim;
        bool last = false;
        if (store->ops->review_sum(store, call->robot.id, &count, &bytes, err) < 0)
            return -1;
        if (count == 0 || (count < MOST_OF_A_ROBOT && bytes + len <= MOST_BYTES_OF_A_ROBOT))
            return 0;
        if (store->ops->review_victim(store, call->robot.id, &victim, err) < 0 ||
            store->ops->review_forget(store, victim.id, &last, err) < 0)
            return -1;
        if (last) /* the same frame may have come from a robot whose log began anew */
            blobs_drop(call->fleet->samples, &victim.sample);
    }
}

static int take_in(struct call *call, const uint8_t *body, size_t len, struct err *err)
{
    cleanup_free struct sample *sample = mem_zalloc(1, sizeof *sample);
    struct store *store = call->fleet->store;
    uint64_t have = 0, id = 0;
    if (!sample)
        return err_no_memory(err);
    if (sample_parse(body, len, sample, err) < 0)
        return -1;
    struct digest digest = hash_bytes(body, len);
    struct blobs_part part = {.digest = digest, .total = len, .data = body, .len = len};
    struct review_row row = row_of(call, sample, &digest, len);
    if (make_room(call, len, err) < 0 || blobs_put(call->fleet->samples, &part, &have, err) < 0 ||
        store->ops->review_add(store, &row, &id, err) < 0)
        return -1;
    if (row.reason != SAMPLE_ALARM)
        return 0;
    return fleet_event(call->fleet, "review", call->robot.id, err, "alarm %llu waits for a verdict",
                       (unsigned long long)id);
}

static int take_stream(struct call *call, const char **out_stream, uint64_t *out_seq, struct err *err)
{
    *out_stream = http_query(call->request, "stream");
    if (!*out_stream || strlen(*out_stream) != 32 || strspn(*out_stream, "0123456789abcdef") != 32)
        return err_set(err, ERR_INVALID, "stream: 32 hexadecimal digits are wanted");
    if (call_query_u64(call, "seq", 0, INT64_MAX, out_seq, err) < 0)
        return -1;
    return *out_seq ? 0 : err_set(err, ERR_INVALID, "seq: a number from 1 on is wanted");
}

int sample_post(struct call *call, struct err *err)
{
    const char *stream;
    uint64_t seq = 0, last = 0;
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    struct store *store = call->fleet->store;
    if (take_stream(call, &stream, &seq, err) < 0 ||
        store->ops->stream_get(store, call->robot.id, STREAM_SAMPLES, stream, &last, err) < 0)
        return -1;
    if (seq > last) {
        if (take_in(call, body, len, err) < 0 ||
            store->ops->stream_set(store, call->robot.id, STREAM_SAMPLES, stream, seq, clock_wall_ms(), err) <
                0)
            return -1;
        last = seq;
    }
    return call_json(call, 200, api_acked_format(last), err);
}
