#include "cli/incident_file.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/json.h"
#include "wire/mcap/reader.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 32, LINE = 400 };

/* Equal verdicts in a row. */
struct run {
    char answer[WORD], reason[WORD], state[WORD];
    uint64_t generation, count;
    double first_s, last_s;
};

struct timeline {
    const struct incident_facts *facts;
    struct json_writer *json; /* NULL: print */
    struct run run;
};

static double from_trigger_s(const struct incident_facts *facts, uint64_t wall_ns)
{
    return ((double)wall_ns / 1e6 - (double)facts->time_ms) / 1e3;
}

static void say(const struct timeline *timeline, double at_s, const char *kind, const char *text)
{
    struct json_writer *json = timeline->json;
    if (!json) {
        printf("%+9.3f s  %-12s %s\n", at_s, kind, text);
        return;
    }
    jsonw_object(json, NULL);
    jsonw_real(json, "at_s", at_s);
    jsonw_text(json, "kind", kind);
    jsonw_text(json, "text", text);
    jsonw_close(json);
}

static void end_run(struct timeline *timeline)
{
    struct run *run = &timeline->run;
    char text[LINE];
    if (run->count == 0)
        return;
    snprintf(text, sizeof text, "%llu %s%s%s%s, state %s, generation %llu, until %+.3f s",
             (unsigned long long)run->count, run->answer, run->reason[0] ? " (" : "", run->reason,
             run->reason[0] ? ")" : "", run->state, (unsigned long long)run->generation, run->last_s);
    say(timeline, run->first_s, "verdicts", text);
    run->count = 0;
}

static bool same_run(const struct run *a, const struct run *b)
{
    return str_eq(a->answer, b->answer) && str_eq(a->reason, b->reason) && str_eq(a->state, b->state) &&
           a->generation == b->generation;
}

static void take_verdict(struct timeline *timeline, struct json_at at, double at_s)
{
    struct run one = {.count = 1, .first_s = at_s, .last_s = at_s};
    json_get_line(at, "answer", one.answer, sizeof one.answer);
    json_get_line(at, "reason", one.reason, sizeof one.reason);
    json_get_line(at, "state", one.state, sizeof one.state);
    json_get_u64(at, "generation", INT64_MAX, &one.generation);
    struct run *run = &timeline->run;
    if (run->count > 0 && same_run(run, &one)) {
        run->count++;
        run->last_s = at_s;
        return;
    }
    end_run(timeline);
    *run = one;
}

static void take_state(struct timeline *timeline, struct json_at at, double at_s)
{
    char notice[WORD] = "", state[WORD] = "", text[200] = "", who[64] = "", why[128] = "", line[LINE];
    json_get_line(at, "notice", notice, sizeof notice);
    json_get_line(at, "state", state, sizeof state);
    json_get_line(at, "text", text, sizeof text);
    json_get_line(at, "who", who, sizeof who);
    json_get_line(at, "why", why, sizeof why);
    bool human = str_eq(notice, "command") && who[0]; /* its text says who */
    snprintf(line, sizeof line, "%s%s%s%s; state %s", text, human && why[0] ? " (" : "", human ? why : "",
             human && why[0] ? ")" : "", state);
    end_run(timeline);
    say(timeline, at_s, notice, line);
}

static void take_log(struct timeline *timeline, struct json_at at, double at_s)
{
    char text[LINE] = "";
    json_get_line(at, "message", text, sizeof text);
    end_run(timeline);
    say(timeline, at_s, "log", text);
}

static int on_timeline(const struct mcap_channel *channel, const struct mcap_message *message, void *arg,
                       struct err *err)
{
    static const struct {
        const char *topic;
        void (*take)(struct timeline *, struct json_at, double);
    } takers[] = {{"/verdicts", take_verdict}, {"/state", take_state}, {"/log", take_log}};
    struct timeline *timeline = arg;
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        struct json_reader reader;
        if (!mcap_slice_is(channel->topic, takers[i].topic))
            continue;
        if (json_read(&reader, takers[i].topic, message->data.data, message->data.len, err) < 0)
            return -1;
        takers[i].take(timeline, json_root(&reader), from_trigger_s(timeline->facts, message->log_ns));
        return json_finish(&reader, err);
    }
    return 0;
}

int incident_timeline(const void *data, size_t size, const struct incident_facts *facts,
                      struct json_writer *json, struct err *err)
{
    struct timeline timeline = {.facts = facts, .json = json};
    const struct mcap_visitor visitor = {.message = on_timeline, .arg = &timeline};
    if (json)
        jsonw_array(json, "timeline");
    int done = mcap_read(data, size, &visitor, err);
    end_run(&timeline);
    if (json)
        jsonw_close(json);
    return done;
}

/* ---- pictures ---- */

struct which { /* picture */
    uint64_t seq, stream, log_ns;
};

struct pictures {
    bool (*wanted)(const struct pictures *pictures, const struct which *which);
    int (*take)(struct pictures *pictures, const struct which *which, const void *jpeg, size_t len,
                struct err *err);
    char *base64; /* scratch */
    size_t bytes;
    const char *dir; /* all of them */
    unsigned count;
    const struct incident_facts *facts; /* one of them */
    uint64_t seq;
    struct incident_frame *frame;
};

static int decode(struct pictures *pictures, const struct which *which, struct err *err)
{
    size_t len = strlen(pictures->base64), padding = 0;
    while (padding < 2 && len > padding && pictures->base64[len - 1 - padding] == '=')
        padding++;
    cleanup_free uint8_t *jpeg = mem_zalloc(1, len / 4 * 3 + 3);
    if (!jpeg)
        return err_no_memory(err);
    int got = EVP_DecodeBlock(jpeg, (const uint8_t *)pictures->base64, (int)len);
    if (got < (int)padding)
        return err_set(err, ERR_CORRUPT, "frame %llu: its picture is no base64",
                       (unsigned long long)which->seq);
    return pictures->take(pictures, which, jpeg, (size_t)got - padding, err);
}

static int make_room(struct pictures *pictures, size_t bytes, struct err *err)
{
    if (bytes <= pictures->bytes)
        return 0;
    char *more = mem_grow(pictures->base64, bytes, 1);
    if (!more)
        return err_no_memory(err);
    pictures->base64 = more;
    pictures->bytes = bytes;
    return 0;
}

static int on_picture(const struct mcap_channel *channel, const struct mcap_message *message, void *arg,
                      struct err *err)
{
    struct pictures *pictures = arg;
    struct which which = {.log_ns = message->log_ns};
    struct json_reader reader;
    if (!mcap_slice_is(channel->topic, "/frames"))
        return 0;
    if (make_room(pictures, message->data.len + 1, err) < 0 ||
        json_read(&reader, "/frames", message->data.data, message->data.len, err) < 0)
        return -1;
    json_get_u64(json_root(&reader), "seq", INT64_MAX, &which.seq);
    json_get_u64(json_root(&reader), "stream", INT64_MAX, &which.stream);
    json_get_string(json_root(&reader), "data", pictures->base64, pictures->bytes);
    if (json_finish(&reader, err) < 0)
        return -1;
    return pictures->wanted(pictures, &which) ? decode(pictures, &which, err) : 0;
}

static int visit_pictures(const void *data, size_t size, struct pictures *pictures, struct err *err)
{
    const struct mcap_visitor visitor = {.message = on_picture, .arg = pictures};
    int done = mcap_read(data, size, &visitor, err);
    free(pictures->base64);
    return done;
}

/* ---- all of them ---- */

static bool any(const struct pictures *pictures, const struct which *which)
{
    return true;
}

static int write_picture(struct pictures *pictures, const struct which *which, const void *jpeg, size_t len,
                         struct err *err)
{
    cleanup_free char *path = mem_printf("%s/%06llu.jpg", pictures->dir, (unsigned long long)which->seq);
    if (!path)
        return err_no_memory(err);
    pictures->count++;
    return file_replace(path, jpeg, len, 0644, err);
}

int incident_pictures(const void *data, size_t size, const char *dir, unsigned *out_count, struct err *err)
{
    struct pictures pictures = {.dir = dir, .wanted = any, .take = write_picture};
    int done = file_make_dirs(dir, 0755, err);
    if (done == 0)
        done = visit_pictures(data, size, &pictures, err);
    *out_count = pictures.count;
    return done;
}

/* ---- one of them ---- */

static bool sought(const struct pictures *pictures, const struct which *which)
{
    return pictures->seq == INCIDENT_LAST_FRAME ? from_trigger_s(pictures->facts, which->log_ns) <= 0
                                                : pictures->seq == which->seq;
}

/* The later one, where several are meant. */
static int keep_picture(struct pictures *pictures, const struct which *which, const void *jpeg, size_t len,
                        struct err *err)
{
    struct incident_frame *frame = pictures->frame;
    double at_s = from_trigger_s(pictures->facts, which->log_ns);
    if (pictures->count++ > 0 && at_s < frame->at_s)
        return 0;
    frame->seq = which->seq;
    frame->stream = which->stream;
    frame->at_s = at_s;
    frame->picture.len = 0;
    return buf_put(&frame->picture, jpeg, len, err);
}

static int on_its_verdict(const struct mcap_channel *channel, const struct mcap_message *message, void *arg,
                          struct err *err)
{
    struct incident_frame *frame = arg;
    struct json_reader reader;
    uint64_t seq = 0, stream = 0;
    if (!mcap_slice_is(channel->topic, "/verdicts"))
        return 0;
    if (json_read(&reader, "/verdicts", message->data.data, message->data.len, err) < 0)
        return -1;
    const struct json_at at = json_root(&reader);
    json_get_u64(at, "seq", INT64_MAX, &seq);
    json_get_u64(at, "stream", INT64_MAX, &stream);
    if (seq == frame->seq && stream == frame->stream) {
        json_get_line(at, "answer", frame->answer, sizeof frame->answer);
        json_get_line(at, "reason", frame->reason, sizeof frame->reason);
        json_get_line(at, "state", frame->state, sizeof frame->state);
    }
    return json_finish(&reader, err);
}

int incident_frame(const void *data, size_t size, const struct incident_facts *facts, uint64_t seq,
                   struct incident_frame *out, struct err *err)
{
    *out = (struct incident_frame){.picture = BUF_INIT(INCIDENT_MAX_BYTES)};
    struct pictures pictures = {
        .facts = facts, .seq = seq, .frame = out, .wanted = sought, .take = keep_picture};
    const struct mcap_visitor verdicts = {.message = on_its_verdict, .arg = out};
    if (visit_pictures(data, size, &pictures, err) < 0)
        return -1;
    if (!pictures.count && seq == INCIDENT_LAST_FRAME)
        return err_set(err, ERR_NOT_FOUND, "no picture from before the trigger is in the recording");
    if (!pictures.count)
        return err_set(err, ERR_NOT_FOUND,
                       "no picture of frame %llu is in the recording; muster incident export --frames DIR "
                       "shows those that are",
                       (unsigned long long)seq);
    return mcap_read(data, size, &verdicts, err);
}

void incident_frame_fini(struct incident_frame *frame)
{
    buf_fini(&frame->picture);
}
