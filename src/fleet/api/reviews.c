/* The queue of frames that wait for a person's word, and each of them. What people say: reviews_say.c. */
#include "fleet/api/reviews.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "release/image.h"
#include "wire/json.h"

#include <math.h>
#include <unistd.h>

enum { DEFAULT_LIMIT = 50, MAX_LIMIT = 200 };

static void view_said(struct json_writer *w, const struct sample *sample)
{
    jsonw_array(w, sample->is_values ? "values" : "detections");
    for (uint32_t i = 0; i < sample->count; i++) {
        if (sample->is_values) {
            jsonw_real(w, NULL, (double)sample->values[i]);
            continue;
        }
        const struct detection *one = &sample->detections[i];
        const double numbers[] = {one->label,      (double)one->score, (double)one->x0,
                                  (double)one->y0, (double)one->x1,    (double)one->y1};
        jsonw_array(w, NULL);
        for (size_t k = 0; k < ARRAY_LEN(numbers); k++)
            jsonw_real(w, NULL, numbers[k]);
        jsonw_close(w);
    }
    jsonw_close(w);
}

static void view_signals(struct json_writer *w, const struct frame_signals *signals)
{
    jsonw_object(w, "signals");
    for (int i = 0; signals->valid && i < SIGNALS; i++)
        if (isfinite(signals->values[i]))
            jsonw_real(w, signal_infos[i].name, (double)signals->values[i]);
    jsonw_close(w);
}

/* What numbers mean: names of labels, and the frame's shape. Left out of an answer about a release that is not here. */
static void view_contract(struct json_writer *w, struct fleet *fleet, const struct digest *digest)
{
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    struct err ignored = {0};
    if (!image || image_open(blobs_dir(fleet->blobs), digest, image, &ignored) < 0)
        return;
    const struct release *release = &image->release;
    jsonw_array(w, "labels");
    for (size_t i = 0; i < release->label_count; i++)
        jsonw_text(w, NULL, release->labels[i]);
    jsonw_close(w);
    jsonw_array(w, "shape");
    for (size_t i = 0; release->input_count && i < release->inputs[0].dim_count; i++)
        jsonw_i64(w, NULL, release->inputs[0].dims[i]);
    jsonw_close(w);
    image_close(image);
}

void review_view(struct json_writer *w, struct fleet *fleet, const struct review_row *row)
{
    jsonw_u64(w, "id", row->id);
    jsonw_text(w, "robot", row->robot);
    jsonw_text(w, "site", row->site);
    view_release_ref(w, "release", fleet, &row->release);
    jsonw_i64(w, "time_ms", row->time_ms);
    jsonw_i64(w, "received_ms", row->received_ms);
    jsonw_i64(w, "from_ms", row->from_ms);
    jsonw_i64(w, "until_ms", row->until_ms);
    jsonw_text(w, "reason", sample_reason_name(row->reason));
    jsonw_real(w, "probability", row->probability);
    jsonw_real(w, "score", row->score);
    jsonw_u64(w, "count", row->count);
    jsonw_boolean(w, "picture", !digest_is_zero(&row->sample));
    jsonw_i64(w, "seen_ms", row->seen_ms);
    jsonw_text(w, "verdict", review_verdict_name(row->verdict));
    jsonw_u64(w, "missed", row->missed);
    jsonw_text(w, "decided_by", row->decided_by);
    jsonw_text(w, "note", row->note);
    jsonw_i64(w, "decided_ms", row->decided_ms);
}

struct listing {
    struct call *call;
    struct json_writer w;
    uint64_t left;
};

static bool shown(struct call *call, const char *robot)
{
    struct err err = {0};
    return call_may_id(call, RIGHT_SEE_RECORDINGS, robot, &err) == 0;
}

static int view_one(const struct review_row *row, void *arg)
{
    struct listing *listing = arg;
    if (!shown(listing->call, row->robot))
        return 0;
    jsonw_object(&listing->w, NULL);
    review_view(&listing->w, listing->call->fleet, row);
    jsonw_close(&listing->w);
    return --listing->left == 0;
}

static int take_filter(struct call *call, struct review_filter *out, uint64_t *limit, struct err *err)
{
    static const char *const states[] = {"decided", "open"};
    const char *robot = http_query(call->request, "robot"), *state = http_query(call->request, "state"),
               *reason = http_query(call->request, "reason"), *release = http_query(call->request, "release");
    *out = (struct review_filter){.robot = robot ? robot : "", .open = -1, .reason = -1, .limit = -1};
    for (int i = 0; state && i < 2; i++)
        out->open = str_eq(state, states[i]) ? i : out->open;
    for (int i = 0; reason && i < SAMPLE_REASONS; i++)
        out->reason = str_eq(reason, sample_reason_name((enum sample_reason)i)) ? i : out->reason;
    if ((state && out->open < 0) || (reason && out->reason < 0))
        return err_set(
            err, ERR_INVALID,
            "state: open or decided; reason: audit, unsure, novel, intervention, operator or alarm");
    if (release && !digest_parse(release, &out->release))
        return err_set(err, ERR_INVALID, "release: sha256: and 64 hexadecimal digits are wanted");
    return call_query_u64(call, "before", 0, INT64_MAX, &out->before, err) < 0 ||
                   call_query_u64(call, "limit", DEFAULT_LIMIT, MAX_LIMIT, limit, err) < 0
               ? -1
               : 0;
}

int review_list(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct listing listing = {.call = call};
    struct review_filter filter;
    if (take_filter(call, &filter, &listing.left, err) < 0)
        return -1;
    jsonw_init(&listing.w);
    jsonw_object(&listing.w, NULL);
    jsonw_array(&listing.w, "reviews");
    int done = listing.left ? store->ops->review_each(store, &filter, view_one, &listing, err) : 0;
    jsonw_close(&listing.w);
    jsonw_close(&listing.w);
    if (done == 0)
        done = call_writer(call, 200, &listing.w, err);
    jsonw_fini(&listing.w);
    return done;
}

int review_find(struct call *call, enum right right, struct review_row *out, struct err *err)
{
    struct store *store = call->fleet->store;
    struct err denied = {0};
    uint64_t id;
    if (call_id(call, &id, err) < 0)
        return -1;
    if (store->ops->review_get(store, id, out, err) == 0 &&
        call_may_id(call, right, out->robot, &denied) == 0)
        return 0;
    if (err->code != ERR_NONE && err->code != ERR_NOT_FOUND)
        return -1;
    if (denied.code == ERR_DENIED && shown(call, out->robot)) {
        *err = denied;
        return -1;
    }
    return err_set(err, ERR_NOT_FOUND, "review %llu is not known", (unsigned long long)id);
}

/* The sample's bytes and what is in them. */
static int load_sample(struct call *call, const struct review_row *row, struct buf *bytes, struct sample *out,
                       struct err *err)
{
    cleanup_close int fd = -1;
    uint64_t size = 0;
    if (digest_is_zero(&row->sample))
        return err_set(err, ERR_NOT_FOUND, "the picture of review %llu is not kept any more",
                       (unsigned long long)row->id);
    if (blobs_read(call->fleet->samples, &row->sample, &fd, &size, err) < 0)
        return -1;
    if (size > SAMPLE_MAX_BYTES || buf_reserve(bytes, (size_t)size, err) < 0)
        return err_set(err, ERR_CORRUPT, "the sample of review %llu is too big", (unsigned long long)row->id);
    for (ssize_t got; bytes->len < size; bytes->len += (size_t)got)
        if ((got = read(fd, bytes->data + bytes->len, (size_t)size - bytes->len)) <= 0)
            return err_set(err, ERR_CORRUPT, "the sample of review %llu cannot be read",
                           (unsigned long long)row->id);
    return sample_parse(bytes->data, bytes->len, out, err);
}

int review_get(struct call *call, struct err *err)
{
    struct review_row row;
    struct err gone = {0};
    cleanup_buf struct buf bytes = BUF_INIT(SAMPLE_MAX_BYTES);
    cleanup_free struct sample *sample = mem_zalloc(1, sizeof *sample);
    if (!sample)
        return err_no_memory(err);
    if (review_find(call, RIGHT_SEE_RECORDINGS, &row, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    review_view(&w, call->fleet, &row);
    if (load_sample(call, &row, &bytes, sample, &gone) == 0) {
        jsonw_u64(&w, "width", sample->width);
        jsonw_u64(&w, "height", sample->height);
        jsonw_real(&w, "rate_hz", sample->rate_hz);
        view_said(&w, sample);
        view_signals(&w, &sample->signals);
        view_contract(&w, call->fleet, &row.release);
    }
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

/* JPEG, or the numbers of a time series as they are. */
int review_picture_get(struct call *call, struct err *err)
{
    struct review_row row;
    cleanup_buf struct buf bytes = BUF_INIT(SAMPLE_MAX_BYTES);
    cleanup_free struct sample *sample = mem_zalloc(1, sizeof *sample);
    if (!sample)
        return err_no_memory(err);
    if (review_find(call, RIGHT_SEE_RECORDINGS, &row, err) < 0 ||
        load_sample(call, &row, &bytes, sample, err) < 0)
        return -1;
    bool jpeg = sample->picture_bytes > 2 && sample->picture[0] == 0xff && sample->picture[1] == 0xd8;
    char *copy = mem_dup(sample->picture, sample->picture_bytes);
    if (!copy)
        return err_no_memory(err);
    return call_bytes(call, 200, jpeg ? "image/jpeg" : "application/octet-stream", copy,
                      sample->picture_bytes);
}
