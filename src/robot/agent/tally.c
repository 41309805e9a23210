#include "robot/agent/tally.h"

#include "base/hex.h"
#include "base/str.h"
#include "sys/hash.h"

#include <math.h>

enum { MAX_ENTRIES = 8, MAX_WINDOWS = 4, MAX_BODY = 64 << 10, MAGIC = 0x4c41544d };

struct entry {           /* one generation */
    uint64_t generation; /* 0: free */
    struct digest release;
    struct ctl_counters seen, total;
    uint32_t seen_losses, losses;
};

struct name {
    struct digest release;
    char version[64];
};

/* What is kept across a restart of the agent, as it lies in memory: only ever read by the same build on the
 * same machine (`size` and the check say so). */
struct kept {
    uint32_t magic, size;
    uint64_t epoch, seq;
    char stream[33];
    bool frozen;
    struct entry entries[MAX_ENTRIES];
    uint64_t next_name;
    struct name names[MAX_ENTRIES];
};

struct tally {
    struct kept now;    /* as of the last observation */
    struct kept frozen; /* as of the last freeze: what an agent that comes back starts from */
    char robot[64];
    int64_t since_ms; /* start of the windows */
    size_t window_count;
    struct otlp_window windows[MAX_WINDOWS];
    struct buf body; /* of the frozen export */
};

struct tally *tally_new(const char *robot, const uint8_t stream[16], int64_t now_ms)
{
    struct tally *tally = mem_zalloc(1, sizeof *tally);
    if (!tally)
        return NULL;
    tally->now.magic = MAGIC;
    tally->now.size = sizeof tally->now;
    hex_encode(stream, 16, tally->now.stream);
    tally->frozen = tally->now;
    str_copy(tally->robot, sizeof tally->robot, robot);
    tally->since_ms = now_ms;
    tally->body = (struct buf)BUF_INIT(MAX_BODY);
    return tally;
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    buf_fini(&tally->body);
    free(tally);
}

static struct name *name_of(struct kept *kept, const struct digest *release)
{
    for (size_t i = 0; i < MAX_ENTRIES; i++)
        if (digest_equal(&kept->names[i].release, release))
            return &kept->names[i];
    return NULL;
}

void tally_name(struct tally *tally, const struct digest *release, const char *version)
{
    struct name *name = name_of(&tally->now, release);
    if (!name)
        name = &tally->now.names[tally->now.next_name++ % MAX_ENTRIES];
    name->release = *release;
    str_copy(name->version, sizeof name->version, version);
}

/* Counters. */

/* *into += a - b, field by field; b is what was seen of a before. */
static void add_difference(struct ctl_counters *into, const struct ctl_counters *a,
                           const struct ctl_counters *b)
{
    into->frames += a->frames - b->frames;
    into->results += a->results - b->results;
    into->lost += a->lost - b->lost;
    for (size_t i = 0; i < INTERVENTION_COUNT; i++)
        into->interventions[i] += a->interventions[i] - b->interventions[i];
    into->score_frames += a->score_frames - b->score_frames;
    into->score_tp += a->score_tp - b->score_tp;
    into->score_fp += a->score_fp - b->score_fp;
    into->score_fn += a->score_fn - b->score_fn;
    into->detections += a->detections - b->detections;
    into->confidence_sum += a->confidence_sum - b->confidence_sum;
    into->infer_sum_us += a->infer_sum_us - b->infer_sum_us;
    into->frame_sum_us += a->frame_sum_us - b->frame_sum_us;
    for (size_t i = 0; i < CTL_HIST_BUCKETS; i++) {
        into->infer_us[i] += a->infer_us[i] - b->infer_us[i];
        into->frame_us[i] += a->frame_us[i] - b->frame_us[i];
    }
}

static double bucket_edge_us(size_t bucket)
{
    return exp2((double)bucket / (1 << CTL_HIST_SCALE));
}

/* The middle of each bucket stands for its values: at most half a bucket (4.4 %) off. */
static void add_latencies(struct exphist *into, const uint32_t buckets[CTL_HIST_BUCKETS])
{
    for (size_t i = 0; i < CTL_HIST_BUCKETS; i++)
        if (buckets[i] > 0)
            exphist_add(into, bucket_edge_us(i) * exp2(0.5 / (1 << CTL_HIST_SCALE)) / 1000, buckets[i]);
}

static void add_to_window(struct otlp_window *window, const struct ctl_counters *delta)
{
    window->frames += delta->frames;
    window->results += delta->results;
    window->lost += delta->lost;
    for (size_t i = 0; i < MIN((size_t)INTERVENTION_COUNT, (size_t)OTLP_REASONS); i++)
        window->interventions[i] += delta->interventions[i];
    window->score_frames += delta->score_frames;
    window->score_tp += delta->score_tp;
    window->score_fp += delta->score_fp;
    window->score_fn += delta->score_fn;
    window->detections += delta->detections;
    window->confidence_sum += delta->confidence_sum;
    add_latencies(&window->latency_ms, delta->infer_us);
    add_latencies(&window->frame_ms, delta->frame_us);
}

static bool is_nothing(const struct ctl_counters *delta)
{
    static const struct ctl_counters nothing;
    return memcmp(delta, &nothing, sizeof nothing) == 0;
}

/* The window of a release; NULL if four others are open (they are sent first; the difference is seen again
 * later). */
static struct otlp_window *window_of(struct tally *tally, const struct digest *release)
{
    struct digest_text text = digest_format(release);
    for (size_t i = 0; i < tally->window_count; i++)
        if (str_eq(tally->windows[i].release, text.text))
            return &tally->windows[i];
    if (tally->window_count == MAX_WINDOWS)
        return NULL;
    struct otlp_window *window = &tally->windows[tally->window_count++];
    *window = (struct otlp_window){0};
    str_copy(window->release, sizeof window->release, text.text);
    exphist_init(&window->latency_ms);
    exphist_init(&window->frame_ms);
    return window;
}

static struct entry *entry_of(struct kept *kept, uint64_t generation)
{
    for (size_t i = 0; i < MAX_ENTRIES; i++)
        if (kept->entries[i].generation == generation)
            return &kept->entries[i];
    return NULL;
}

/* A place for a new generation: a free one, else that of the oldest. */
static struct entry *entry_new(struct kept *kept, const struct ctl_runner_status *runner)
{
    struct entry *oldest = &kept->entries[0];
    for (size_t i = 1; i < MAX_ENTRIES; i++)
        if (kept->entries[i].generation < oldest->generation)
            oldest = &kept->entries[i];
    *oldest = (struct entry){.generation = runner->generation, .release = runner->release};
    return oldest;
}

static void forget_seen(struct entry *entry)
{
    entry->seen = (struct ctl_counters){0};
    entry->seen_losses = 0;
}

static void observe_runner(struct tally *tally, const struct ctl_runner_status *runner)
{
    struct entry *entry = entry_of(&tally->now, runner->generation);
    if (!entry || !digest_equal(&entry->release, &runner->release))
        entry = entry_new(&tally->now, runner);
    if (runner->counters.frames < entry->seen.frames || runner->restarts < entry->seen_losses)
        forget_seen(entry);
    struct ctl_counters delta = {0};
    add_difference(&delta, &runner->counters, &entry->seen);
    if (!is_nothing(&delta)) {
        struct otlp_window *window = window_of(tally, &runner->release);
        if (!window)
            return;
        add_to_window(window, &delta);
    }
    static const struct ctl_counters zero;
    add_difference(&entry->total, &delta, &zero);
    entry->losses += runner->restarts - entry->seen_losses;
    entry->seen = runner->counters;
    entry->seen_losses = runner->restarts;
}

static bool is_there(const struct ctl_status *status, uint64_t generation)
{
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation == generation)
            return true;
    return false;
}

void tally_observe(struct tally *tally, const struct ctl_status *status)
{
    /* Another guard, or a generation that was retired and may be admitted again: its counters start anew. */
    for (size_t i = 0; i < MAX_ENTRIES; i++)
        if (status->epoch != tally->now.epoch || !is_there(status, tally->now.entries[i].generation))
            forget_seen(&tally->now.entries[i]);
    tally->now.epoch = status->epoch;
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation != 0)
            observe_runner(tally, &status->runners[i]);
}

struct tally_total tally_total(const struct tally *tally, uint64_t generation, double budget_ms)
{
    struct tally_total out = {0};
    for (size_t e = 0; e < MAX_ENTRIES; e++) {
        const struct entry *entry = &tally->now.entries[e];
        if (entry->generation != generation || generation == 0)
            continue;
        struct exphist latencies;
        exphist_init(&latencies);
        add_latencies(&latencies, entry->total.infer_us);
        for (size_t i = 0; i < CTL_HIST_BUCKETS; i++) {
            out.inferences += entry->total.infer_us[i];
            if (bucket_edge_us(i) >= budget_ms * 1000)
                out.over_budget += entry->total.infer_us[i];
        }
        for (size_t i = 0; i < INTERVENTION_COUNT; i++)
            out.interventions += i == INTERVENED_OVERSIGHT ? 0 : entry->total.interventions[i];
        out.frames = entry->total.frames;
        out.results = entry->total.results;
        out.runner_losses = entry->losses;
        out.latency_p99_ms = exphist_quantile(&latencies, 0.99);
    }
    return out;
}

/* Exports. */

static int format(struct tally *tally, int64_t now_ms, struct err *err)
{
    cleanup_free struct otlp_export *export = mem_zalloc(1, sizeof *export);
    if (!export)
        return err_no_memory(err);
    str_copy(export->robot, sizeof export->robot, tally->robot);
    str_copy(export->stream, sizeof export->stream, tally->now.stream);
    export->seq = tally->now.seq + 1;
    export->window_count = tally->window_count;
    for (size_t i = 0; i < tally->window_count; i++) {
        struct digest release;
        export->windows[i] = tally->windows[i];
        export->windows[i].start_ms = tally->since_ms;
        export->windows[i].end_ms = MAX(now_ms, tally->since_ms + 1);
        const struct name *name =
            digest_parse(tally->windows[i].release, &release) ? name_of(&tally->now, &release) : NULL;
        str_copy(export->windows[i].version, sizeof export->windows[i].version,
                 name ? name->version : "0.0.0-unknown");
    }
    buf_reset(&tally->body);
    return otlp_format(export, &tally->body, err);
}

int tally_freeze(struct tally *tally, int64_t now_ms, const struct buf **out_body, struct err *err)
{
    *out_body = &tally->body;
    if (tally->now.frozen)
        return 1;
    if (tally->window_count == 0)
        return 0;
    int rc = format(tally, now_ms, err);
    tally->window_count = 0;
    tally->since_ms = MAX(now_ms, tally->since_ms + 1);
    if (rc < 0)
        return -1;
    tally->now.seq++;
    tally->now.frozen = true;
    tally->frozen = tally->now;
    return 1;
}

void tally_sent(struct tally *tally)
{
    tally->now.frozen = tally->frozen.frozen = false;
    buf_reset(&tally->body);
}

/* Keeping. */

int tally_save(const struct tally *tally, struct buf *out, struct err *err)
{
    size_t before = out->len;
    if (buf_put(out, &tally->frozen, sizeof tally->frozen, err) < 0 ||
        buf_put(out, tally->body.data, tally->body.len, err) < 0)
        return -1;
    struct digest check = hash_bytes(out->data + before, out->len - before);
    return buf_put(out, check.bytes, sizeof check.bytes, err);
}

int tally_restore(struct tally *tally, const uint8_t *data, size_t len, struct err *err)
{
    struct kept kept;
    struct digest check = {0};
    if (len < sizeof kept + sizeof check.bytes)
        return err_set(err, ERR_CORRUPT, "telemetry: cut short");
    size_t body_len = len - sizeof kept - sizeof check.bytes;
    check = hash_bytes(data, len - sizeof check.bytes);
    memcpy(&kept, data, sizeof kept);
    if (memcmp(check.bytes, data + len - sizeof check.bytes, sizeof check.bytes) != 0 ||
        kept.magic != MAGIC || kept.size != sizeof kept || body_len > MAX_BODY)
        return err_set(err, ERR_CORRUPT, "telemetry: damaged, or of another build");
    buf_reset(&tally->body);
    if (buf_put(&tally->body, data + sizeof kept, body_len, err) < 0)
        return -1;
    tally->now = tally->frozen = kept;
    return 0;
}
