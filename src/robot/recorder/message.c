#include "robot/recorder/message.h"

#include "base/mem.h"
#include "robot/decide/guard_fsm.h"
#include "robot/recorder/schemas.h"
#include "wire/json_stream.h"
#include "wire/otlp.h"

#include <openssl/evp.h>
#include <string.h>

enum { MAX_MESSAGE_BYTES = 8 << 20 };
enum { LEVEL_WARNING = 3, LINE_LOOP = 2 }; /* foxglove.Log, foxglove.PointsAnnotation */

int messages_init(struct messages *messages, struct mcap_writer *mcap, int64_t wall_offset_ns,
                  struct err *err)
{
    *messages = (struct messages){
        .mcap = mcap, .wall_offset_ns = wall_offset_ns, .text = BUF_INIT(MAX_MESSAGE_BYTES)};
    for (int i = 0; i < TOPIC_COUNT; i++)
        if (mcap_writer_channel(mcap, &message_topics[i], &messages->channels[i], err) < 0)
            return -1;
    return 0;
}

void messages_fini(struct messages *messages)
{
    buf_fini(&messages->text);
}

static int64_t wall_ns(const struct messages *messages, int64_t mono_ns)
{
    return MAX(mono_ns + messages->wall_offset_ns, (int64_t)0);
}

static int send(struct messages *messages, enum message_topic topic, int64_t log_ns, int64_t publish_ns,
                const char *text, size_t len, struct err *err)
{
    struct mcap_stamp stamp = {.seq = messages->count++,
                               .log_ns = (uint64_t)wall_ns(messages, log_ns),
                               .publish_ns = (uint64_t)wall_ns(messages, publish_ns)};
    return mcap_writer_message(messages->mcap, messages->channels[topic], &stamp, text, len, err);
}

static int send_json(struct messages *messages, enum message_topic topic, int64_t log_ns, int64_t publish_ns,
                     struct json_writer *w, struct err *err)
{
    cleanup_free char *text = jsonw_take(w, err);
    return text ? send(messages, topic, log_ns, publish_ns, text, strlen(text), err) : -1;
}

static void put_time(const struct messages *messages, struct json_writer *w, int64_t mono_ns)
{
    int64_t ns = wall_ns(messages, mono_ns);
    jsonw_object(w, "timestamp");
    jsonw_i64(w, "sec", ns / 1000000000);
    jsonw_i64(w, "nsec", ns % 1000000000);
    jsonw_close(w);
}

/* A capture time is the robot program's word: taken where it can be true. */
static int64_t capture_of(int64_t capture_ns, const struct arena_entry *entry)
{
    enum { OLDEST_NS = 10 };
    bool sane = capture_ns <= entry->time_ns && capture_ns > entry->time_ns - OLDEST_NS * 1000000000ll;
    return sane ? capture_ns : entry->time_ns;
}

/* ---- frames ---- */

static int put_base64(struct buf *out, const uint8_t *data, size_t len, struct err *err)
{
    size_t room = (len + 2) / 3 * 4;
    if (buf_reserve(out, room + 1, err) < 0)
        return -1;
    out->len += (size_t)EVP_EncodeBlock(out->data + out->len, data, (int)len);
    return 0;
}

static int write_picture(struct messages *messages, const struct arena_entry *entry,
                         const struct entry_frame *frame, int64_t capture_ns, struct err *err)
{
    struct buf *out = &messages->text;
    int64_t ns = wall_ns(messages, capture_ns);
    buf_reset(out);
    if (buf_printf(out, err,
                   "{\"timestamp\":{\"sec\":%lld,\"nsec\":%lld},\"frame_id\":\"camera\",\"format\":\"jpeg\","
                   "\"seq\":%llu,"
                   "\"stream\":%llu,\"width\":%u,\"height\":%u,\"shrink\":%u,\"data\":\"",
                   (long long)(ns / 1000000000), (long long)(ns % 1000000000), (unsigned long long)frame->seq,
                   (unsigned long long)frame->stream, frame->width, frame->height, frame->shrink) < 0 ||
        put_base64(out, frame->jpeg, frame->len, err) < 0 || buf_puts(out, "\"}", err) < 0)
        return -1;
    return send(messages, TOPIC_FRAMES, entry->time_ns, capture_ns, buf_text(out), out->len, err);
}

static void put_color(struct json_writer *w, const char *key, double r, double g, double b, double a)
{
    jsonw_object(w, key);
    jsonw_real(w, "r", r);
    jsonw_real(w, "g", g);
    jsonw_real(w, "b", b);
    jsonw_real(w, "a", a);
    jsonw_close(w);
}

static void put_point(struct json_writer *w, const char *key, double x, double y)
{
    jsonw_object(w, key);
    jsonw_real(w, "x", x);
    jsonw_real(w, "y", y);
    jsonw_close(w);
}

static void put_box(const struct messages *messages, struct json_writer *w, const struct detection *d,
                    double scale, int64_t capture_ns)
{
    jsonw_object(w, NULL);
    put_time(messages, w, capture_ns);
    jsonw_i64(w, "type", LINE_LOOP);
    jsonw_array(w, "points");
    put_point(w, NULL, (double)d->x0 * scale, (double)d->y0 * scale);
    put_point(w, NULL, (double)d->x1 * scale, (double)d->y0 * scale);
    put_point(w, NULL, (double)d->x1 * scale, (double)d->y1 * scale);
    put_point(w, NULL, (double)d->x0 * scale, (double)d->y1 * scale);
    jsonw_close(w);
    put_color(w, "outline_color", 0.1, 1, 0.3, 1);
    jsonw_array(w, "outline_colors");
    jsonw_close(w);
    put_color(w, "fill_color", 0, 0, 0, 0);
    jsonw_real(w, "thickness", 2);
    jsonw_close(w);
}

static void put_caption(const struct messages *messages, struct json_writer *w, const struct detection *d,
                        double scale, int64_t capture_ns)
{
    char text[48];
    snprintf(text, sizeof text, "%u %.2f", d->label, (double)d->score);
    jsonw_object(w, NULL);
    put_time(messages, w, capture_ns);
    put_point(w, "position", (double)d->x0 * scale, (double)d->y0 * scale);
    jsonw_text(w, "text", text);
    jsonw_real(w, "font_size", 12);
    put_color(w, "text_color", 1, 1, 1, 1);
    put_color(w, "background_color", 0, 0, 0, 0.6);
    jsonw_close(w);
}

/* The timestamp is the picture's: that is how viewers find what belongs together. */
static int write_annotations(struct messages *messages, const struct arena_entry *entry,
                             const struct entry_frame *frame, const struct ring_verdict *verdict,
                             int64_t capture_ns, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    double scale = 1.0 / frame->shrink;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "circles");
    jsonw_close(&w);
    jsonw_array(&w, "points");
    for (uint32_t i = 0; i < verdict->count; i++)
        put_box(messages, &w, &verdict->detections[i], scale, capture_ns);
    jsonw_close(&w);
    jsonw_array(&w, "texts");
    for (uint32_t i = 0; i < verdict->count; i++)
        put_caption(messages, &w, &verdict->detections[i], scale, capture_ns);
    jsonw_close(&w);
    jsonw_close(&w);
    return send_json(messages, TOPIC_ANNOTATIONS, entry->time_ns, capture_ns, &w, err);
}

static int write_frame(struct messages *messages, const struct arena_entry *entry,
                       const struct ring_verdict *verdict, struct err *err)
{
    const struct entry_frame *frame = (const void *)entry->payload;
    int64_t capture_ns = capture_of(frame->capture_ns, entry);
    if (write_picture(messages, entry, frame, capture_ns, err) < 0)
        return -1;
    if (!verdict || verdict->kind == RING_VALUES)
        return 0;
    return write_annotations(messages, entry, frame, verdict, capture_ns, err);
}

static int write_values(struct messages *messages, const struct arena_entry *entry, struct err *err)
{
    const struct entry_values *values = (const void *)entry->payload;
    int64_t capture_ns = capture_of(values->capture_ns, entry);
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    put_time(messages, &w, capture_ns);
    jsonw_u64(&w, "seq", values->seq);
    jsonw_u64(&w, "stream", values->stream);
    jsonw_u64(&w, "total", values->total);
    jsonw_array(&w, "values");
    for (uint32_t i = 0; i < values->count; i++)
        jsonw_real(&w, NULL, (double)values->values[i]);
    jsonw_close(&w);
    jsonw_close(&w);
    return send_json(messages, TOPIC_INPUTS, entry->time_ns, capture_ns, &w, err);
}

/* ---- verdicts ---- */

static const char *answer_name(uint32_t status)
{
    static const char *const names[] = {
        [RING_VERDICT_OK] = "ok", [RING_VERDICT_FALLBACK] = "fallback", [RING_VERDICT_SAFE] = "safe"};
    return status < ARRAY_LEN(names) && names[status] ? names[status] : "unknown";
}

static const char *reason_name(uint32_t reason)
{
    return reason < OTLP_REASONS ? otlp_reason_names[reason] : "";
}

static const char *state_name(uint32_t state)
{
    return state < GUARD_STATE_COUNT ? guard_state_name((enum guard_state)state) : "unknown";
}

static void put_detections(struct json_writer *w, const struct ring_verdict *verdict)
{
    jsonw_array(w, "detections");
    for (uint32_t i = 0; i < verdict->count; i++) {
        const struct detection *d = &verdict->detections[i];
        jsonw_object(w, NULL);
        jsonw_array(w, "box");
        jsonw_real(w, NULL, (double)d->x0);
        jsonw_real(w, NULL, (double)d->y0);
        jsonw_real(w, NULL, (double)d->x1);
        jsonw_real(w, NULL, (double)d->y1);
        jsonw_close(w);
        jsonw_real(w, "score", (double)d->score);
        jsonw_u64(w, "label", d->label);
        jsonw_close(w);
    }
    jsonw_close(w);
}

static void put_numbers(struct json_writer *w, const struct ring_verdict *verdict)
{
    jsonw_array(w, "values");
    for (uint32_t i = 0; i < verdict->count; i++)
        jsonw_real(w, NULL, (double)verdict->values[i]);
    jsonw_close(w);
}

static int write_verdict(struct messages *messages, const struct arena_entry *entry, struct err *err)
{
    const struct ring_verdict *verdict = (const void *)entry->payload;
    int64_t decided_ns = capture_of(verdict->decided_ns, entry);
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    put_time(messages, &w, decided_ns);
    jsonw_u64(&w, "seq", verdict->seq);
    jsonw_u64(&w, "stream", verdict->stream);
    jsonw_text(&w, "answer", answer_name(verdict->status));
    jsonw_text(&w, "reason", reason_name(verdict->reason));
    jsonw_text(&w, "state", state_name(verdict->state));
    jsonw_u64(&w, "generation", verdict->generation);
    jsonw_digest(&w, "release", &verdict->release);
    jsonw_real(&w, "run_us", (double)verdict->run_ns / 1e3);
    if (verdict->started_ns > 0)
        jsonw_real(&w, "to_verdict_us", (double)(verdict->decided_ns - verdict->started_ns) / 1e3);
    if (verdict->kind == RING_VALUES)
        put_numbers(&w, verdict);
    else
        put_detections(&w, verdict);
    jsonw_close(&w);
    return send_json(messages, TOPIC_VERDICTS, entry->time_ns, decided_ns, &w, err);
}

/* ---- what was said ---- */

static const char *notice_name(uint32_t notice)
{
    static const char *const names[CTL_NOTICE_END] = {[CTL_NOTICE_STATE] = "state",
                                                      [CTL_NOTICE_COMMAND] = "command",
                                                      [CTL_NOTICE_INTERVENTION] = "intervention",
                                                      [CTL_NOTICE_LOST] = "lost"};
    return notice < CTL_NOTICE_END && names[notice] ? names[notice] : "other";
}

static int write_notice(struct messages *messages, const struct arena_entry *entry, struct err *err)
{
    const struct entry_notice *notice = (const void *)entry->payload;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    put_time(messages, &w, entry->time_ns);
    jsonw_text(&w, "notice", notice_name(notice->notice));
    jsonw_text(&w, "state", state_name(notice->state));
    jsonw_text(&w, "text", notice->text);
    jsonw_text(&w, "who", notice->who);
    jsonw_text(&w, "why", notice->reason);
    jsonw_u64(&w, "generation", notice->generation);
    bool intervention = notice->notice == CTL_NOTICE_INTERVENTION && notice->result >= 0;
    jsonw_text(&w, "reason", intervention ? reason_name((uint32_t)notice->result) : "");
    jsonw_u64(&w, "count", notice->count);
    jsonw_close(&w);
    return send_json(messages, TOPIC_STATE, entry->time_ns, entry->time_ns, &w, err);
}

static int write_log(struct messages *messages, const struct arena_entry *entry, const char *text,
                     struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    put_time(messages, &w, entry->time_ns);
    jsonw_i64(&w, "level", LEVEL_WARNING);
    jsonw_text(&w, "message", text);
    jsonw_text(&w, "name", "muster-recorder");
    jsonw_text(&w, "file", "");
    jsonw_i64(&w, "line", 0);
    jsonw_close(&w);
    return send_json(messages, TOPIC_LOG, entry->time_ns, entry->time_ns, &w, err);
}

static int write_text(struct messages *messages, const struct arena_entry *entry, struct err *err)
{
    cleanup_free char *text = mem_strndup((const char *)entry->payload, entry->len);
    return text ? write_log(messages, entry, text, err) : err_no_memory(err);
}

static int write_lost(struct messages *messages, const struct arena_entry *entry, struct err *err)
{
    const struct entry_lost *lost = (const void *)entry->payload;
    char text[128];
    snprintf(text, sizeof text, "overtaken: %llu verdicts and %llu frames are not in this recording",
             (unsigned long long)lost->verdicts, (unsigned long long)lost->frames);
    return write_log(messages, entry, text, err);
}

int messages_write(struct messages *messages, const struct arena_entry *entry,
                   const struct ring_verdict *verdict, struct err *err)
{
    switch ((enum entry_kind)entry->kind) {
    case ENTRY_FRAME:
        return write_frame(messages, entry, verdict, err);
    case ENTRY_VALUES:
        return write_values(messages, entry, err);
    case ENTRY_VERDICT:
        return write_verdict(messages, entry, err);
    case ENTRY_NOTICE:
        return write_notice(messages, entry, err);
    case ENTRY_LOG:
        return write_text(messages, entry, err);
    case ENTRY_LOST:
        return write_lost(messages, entry, err);
    }
    return err_set(err, ERR_INTERNAL, "an entry of kind %u", entry->kind);
}
