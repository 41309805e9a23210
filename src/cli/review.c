#include "cli/verbs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/review.h"
#include "sys/file.h"
#include "wire/instant.h"
#include "wire/json.h"
#include "wire/sample.h"

#include <math.h>

static const char help[] =
    "usage: muster review list [--state open|decided] [--robot ROBOT] [--reason REASON] [--limit N] "
    "[--json]\n"
    "       muster review show REVIEW [-o PICTURE] [--blind] [--json]\n"
    "       muster review label REVIEW true|false|unsure [--missed N] [--note TEXT] [--json]\n"
    "       muster review accuracy RELEASE [--json]\n"
    "       muster review missed ROBOT --label LABEL --from TIME [--until TIME] [--release DIGEST] [--note "
    "TEXT] [--json]\n"
    "\n"
    "Frames and alarms that robots chose for people to look at, and what people say about them. From their "
    "words come precision,\n"
    "recall and false alarms per hour of each release, with intervals that hold however often one looks, and "
    "gates of rollouts.\n"
    "\n"
    "  list    what waits: alarms first, then what a model was unsure of or has never seen, then random "
    "audits\n"
    "  show    one, with what the model said; marks it as seen\n"
    "  label   true: all that the model said here is right; false: something is not; unsure: nobody can "
    "tell\n"
    "  accuracy  of a release (NAME:VERSION or sha256:…), for the fleet and by site, with 95 % intervals; "
    "without labels: in brackets\n"
    "          where it is not to be believed\n"
    "  missed  an event that no release noticed. TIME is RFC 3339 or milliseconds since 1970\n"
    "\n"
    "      --state STATE    open (default) or decided\n"
    "      --reason REASON  audit, unsure, novel, intervention, operator or alarm\n"
    "      --missed N       label: objects on this frame that the model did not find\n"
    "      --blind          show: without what the model said, so that it does not lead you\n"
    "  -o, --output FILE    show: the picture (JPEG), or the numbers of a time series (float32)\n" CLIENT_HELP
    "      --json           as JSON\n"
    "\n"
    "examples:\n"
    "  muster review list\n"
    "  muster review show 12 -o 12.jpg\n"
    "  muster review label 12 false --note \"sat down\"\n"
    "  muster review accuracy detector:2.0.0\n"
    "  muster review missed r7 --label fall --from 2026-01-02T03:04:05Z\n";

struct flags {
    struct client_flags where;
    bool json, blind;
    const char *state, *robot, *reason, *output, *note, *label, *from, *until, *release;
    int64_t limit, missed;
};

static int parse(int argc, char **argv, struct flags *flags, struct operands *operands, struct err *err)
{
    *flags = (struct flags){.limit = 50};
    const struct option_def options[] = {CLIENT_OPTIONS(flags->where),
                                         OPT_FLAG("json", 0, &flags->json),
                                         OPT_FLAG("blind", 0, &flags->blind),
                                         OPT_TEXT("state", 0, &flags->state),
                                         OPT_TEXT("robot", 0, &flags->robot),
                                         OPT_TEXT("reason", 0, &flags->reason),
                                         OPT_TEXT("output", 'o', &flags->output),
                                         OPT_TEXT("note", 0, &flags->note),
                                         OPT_TEXT("label", 0, &flags->label),
                                         OPT_TEXT("from", 0, &flags->from),
                                         OPT_TEXT("until", 0, &flags->until),
                                         OPT_TEXT("release", 0, &flags->release),
                                         OPT_INT("limit", 0, &flags->limit, 1, 200),
                                         OPT_INT("missed", 0, &flags->missed, 0, 100)};
    return options_parse(argc, argv, options, ARRAY_LEN(options), operands, err);
}

/* ---- list ---- */

static void print_row(struct json_at at)
{
    uint64_t id = 0;
    int64_t time_ms = 0;
    double score = NAN;
    char robot[64] = "", reason[16] = "", verdict[16] = "", version[64] = "", when[CLOCK_RFC3339_SIZE];
    json_get_u64(at, "id", INT64_MAX, &id);
    json_get_int(at, "time_ms", INT64_MIN, INT64_MAX, &time_ms);
    json_get_line(at, "robot", robot, sizeof robot);
    json_get_line(at, "reason", reason, sizeof reason);
    json_get_line(at, "verdict", verdict, sizeof verdict);
    if (json_has(at, "release"))
        json_get_line(json_child(at, "release"), "version", version, sizeof version);
    if (json_has(at, "score"))
        json_get_double(at, "score", -1e9, 1e9, &score);
    clock_rfc3339(time_ms, when);
    printf("%6llu  %-16s %s  %-12s %-10s %8.3f  %s\n", (unsigned long long)id, robot, when, reason, version,
           score, verdict);
}

static bool is_state(const char *word)
{
    return !word || str_eq(word, "open") || str_eq(word, "decided");
}

static bool is_reason(const char *word)
{
    bool found = !word;
    for (int i = 0; word && i < SAMPLE_REASONS; i++)
        found |= str_eq(word, sample_reason_name((enum sample_reason)i));
    return found;
}

static int run_list(int argc, char **argv, struct err *err)
{
    struct flags flags;
    struct operands operands = {.usage = ""};
    cleanup_client struct client *client = NULL;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (parse(argc, argv, &flags, &operands, err) < 0)
        return -1;
    if (flags.robot && !str_is_name(flags.robot, 63))
        return err_set(err, ERR_USAGE, "\"%.80s\" is no robot id", flags.robot);
    if (!is_state(flags.state) || !is_reason(flags.reason))
        return err_set(
            err, ERR_USAGE,
            "--state is open or decided; --reason audit, unsure, novel, intervention, operator or alarm");
    cleanup_free char *path = mem_printf("/api/v1/reviews?limit=%lld&state=%s%s%s%s%s",
                                         (long long)flags.limit, flags.state ? flags.state : "open",
                                         flags.robot ? "&robot=" : "", flags.robot ? flags.robot : "",
                                         flags.reason ? "&reason=" : "", flags.reason ? flags.reason : "");
    if (!path)
        return err_no_memory(err);
    if (client_open(&flags.where, &client, err) < 0 ||
        client_call(client, "GET", path, NULL, &answer, err) < 0)
        return -1;
    if (flags.json)
        return output_answer(&answer, err);
    struct json_reader reader;
    size_t count = 0;
    if (json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "reviews", 200, &count);
    printf("%6s  %-16s %-24s  %-12s %-10s %8s  %s\n", "ID", "ROBOT", "WHEN", "REASON", "RELEASE", "SCORE",
           "VERDICT");
    for (size_t i = 0; i < count; i++)
        print_row(json_as_object(json_item(list, i)));
    return json_finish(&reader, err);
}

/* ---- show ---- */

static int save_picture(struct client *client, uint64_t id, const char *output, struct err *err)
{
    cleanup_buf struct buf picture = BUF_INIT(1 << 20);
    cleanup_free char *path = mem_printf("/api/v1/reviews/%llu/picture", (unsigned long long)id);
    if (!path)
        return err_no_memory(err);
    if (client_download(client, path, &picture, err) < 0)
        return -1;
    return file_replace(output, picture.data, picture.len, 0644, err);
}

/* By the name that the release gives it; its number where the release is not there any more. */
static void print_label(struct json_at at, size_t label)
{
    size_t count = 0;
    char name[40] = "";
    struct json_at labels = json_has(at, "labels") ? json_list(at, "labels", 256, &count) : at;
    if (label < count)
        json_as_line(json_item(labels, label), name, sizeof name);
    if (name[0])
        printf("  %s", name);
    else
        printf("  label %zu", label);
}

static void print_said(struct json_at at)
{
    size_t count = 0;
    struct json_at list;
    if (json_has(at, "detections")) {
        list = json_list(at, "detections", 128, &count);
        for (size_t i = 0; i < count; i++) {
            double n[6] = {0};
            for (size_t k = 0; k < 6; k++)
                json_as_double(json_item(json_item(list, i), k), -1e9, 1e9, &n[k]);
            print_label(at, n[0] >= 0 ? (size_t)n[0] : 0);
            printf(", score %.3f, at %.0f,%.0f to %.0f,%.0f\n", n[1], n[2], n[3], n[4], n[5]);
        }
    } else if (json_has(at, "values")) {
        list = json_list(at, "values", 768, &count);
        for (size_t i = 0; i < MIN(count, (size_t)10); i++) {
            double value = 0;
            json_as_double(json_item(list, i), -1e30, 1e30, &value);
            print_label(at, i);
            printf(": %.4f\n", value);
        }
    }
}

static int take_id(const char *text, uint64_t *out, struct err *err)
{
    return str_to_u64(text, out) && *out
               ? 0
               : err_set(err, ERR_USAGE, "\"%.40s\" is no number of a review", text);
}

static int run_show(int argc, char **argv, struct err *err)
{
    struct flags flags;
    struct operands operands = {.usage = "REVIEW", .min = 1, .max = 1};
    cleanup_client struct client *client = NULL;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    uint64_t id = 0;
    if (parse(argc, argv, &flags, &operands, err) < 0 || take_id(operands.items[0], &id, err) < 0)
        return -1;
    cleanup_free char *path = mem_printf("/api/v1/reviews/%llu", (unsigned long long)id);
    if (!path)
        return err_no_memory(err);
    struct err unseen = {0}; /* who may only look does not mark it */
    if (client_open(&flags.where, &client, err) < 0 ||
        client_call(client, "GET", path, NULL, &answer, err) < 0)
        return -1;
    int marked = client_call(client, "POST", path, "{\"verdict\": \"seen\"}", NULL, &unseen);
    (void)marked;
    if (flags.output && save_picture(client, id, flags.output, err) < 0)
        return -1;
    if (flags.json && !flags.blind)
        return output_answer(&answer, err);
    struct json_reader reader;
    if (json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    print_row(json_root(&reader));
    if (!flags.blind)
        print_said(json_root(&reader));
    return json_finish(&reader, err);
}

/* ---- label, missed ---- */

static int send(const struct flags *flags, const char *path, struct json_writer *body, struct err *err)
{
    cleanup_client struct client *client = NULL;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    cleanup_free char *text = jsonw_take(body, err);
    if (!text)
        return -1;
    if (client_open(&flags->where, &client, err) < 0 ||
        client_call(client, "POST", path, text, &answer, err) < 0)
        return -1;
    return flags->json ? output_answer(&answer, err) : 0;
}

static int run_label(int argc, char **argv, struct err *err)
{
    struct flags flags;
    struct operands operands = {.usage = "REVIEW true|false|unsure", .min = 2, .max = 2};
    cleanup_json_writer struct json_writer body;
    uint64_t id = 0;
    jsonw_init(&body);
    if (parse(argc, argv, &flags, &operands, err) < 0 || take_id(operands.items[0], &id, err) < 0)
        return -1;
    const char *verdict = operands.items[1];
    if (!str_eq(verdict, "true") && !str_eq(verdict, "false") && !str_eq(verdict, "unsure"))
        return err_set(err, ERR_USAGE, "\"%.40s\" is no verdict: true, false or unsure", verdict);
    cleanup_free char *path = mem_printf("/api/v1/reviews/%llu", (unsigned long long)id);
    if (!path)
        return err_no_memory(err);
    jsonw_object(&body, NULL);
    jsonw_text(&body, "verdict", verdict);
    jsonw_i64(&body, "missed", flags.missed);
    jsonw_text(&body, "note", flags.note ? flags.note : "");
    jsonw_close(&body);
    return send(&flags, path, &body, err);
}

static int take_time(const char *text, int64_t *out_ms, struct err *err)
{
    if (str_to_i64(text, out_ms) && *out_ms > 0)
        return 0;
    if (instant_parse(text, out_ms) && (*out_ms *= 1000) > 0)
        return 0;
    return err_set(err, ERR_USAGE,
                   "\"%.40s\" is no time: write 2026-01-02T03:04:05Z, or milliseconds since 1970", text);
}

static int run_missed(int argc, char **argv, struct err *err)
{
    struct flags flags;
    struct operands operands = {.usage = "ROBOT", .min = 1, .max = 1};
    cleanup_json_writer struct json_writer body;
    int64_t from_ms = 0, until_ms = 0;
    jsonw_init(&body);
    if (parse(argc, argv, &flags, &operands, err) < 0)
        return -1;
    if (!flags.label || !flags.from)
        return err_set(err, ERR_USAGE, "say what was missed and when: --label LABEL --from TIME");
    if (take_time(flags.from, &from_ms, err) < 0 ||
        take_time(flags.until ? flags.until : flags.from, &until_ms, err) < 0)
        return -1;
    jsonw_object(&body, NULL);
    jsonw_text(&body, "robot", operands.items[0]);
    jsonw_i64(&body, "from_ms", from_ms);
    jsonw_i64(&body, "until_ms", until_ms);
    jsonw_text(&body, "label", flags.label);
    if (flags.release)
        jsonw_text(&body, "release", flags.release);
    jsonw_text(&body, "note", flags.note ? flags.note : "");
    jsonw_close(&body);
    return send(&flags, "/api/v1/missed", &body, err);
}

static int run(int argc, char **argv, struct err *err)
{
    static const struct verb table[] = {
        {.name = "list", .run = run_list},
        {.name = "show", .run = run_show},
        {.name = "label", .run = run_label},
        {.name = "missed", .run = run_missed},
        {.name = "accuracy", .run = review_accuracy_run},
    };
    return verb_dispatch(table, ARRAY_LEN(table), "muster review", argc - 1, argv + 1, err);
}

const struct verb verb_review = {
    .name = "review",
    .summary = "say what is right about frames and alarms: list, show, label, missed, accuracy",
    .help = help,
    .run = run};
