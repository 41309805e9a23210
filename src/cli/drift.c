#include "cli/verbs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/explain_say.h"
#include "cli/output.h"
#include "wire/json.h"

#include <math.h>

enum { MOST_SHOWN = 200, MOST_DECISIONS = 500, MOST_ROBOTS = 4096 };

static const char help[] =
    "usage: muster drift list [--all] [--json]\n"
    "       muster drift show ID [--json]\n"
    "       muster drift acknowledge ID [--note TEXT] [--json]\n"
    "       muster drift decisions [--robot ROBOT] [--rollout N] [--limit N] [--json]\n"
    "\n"
    "What is not any more as it was when a release was made: what robots see, what the model says of it, or "
    "something that the\n"
    "model has never seen. One finding per release and cause, with the robots that it concerns.\n"
    "\n"
    "  list         what is open; with --all also what was acknowledged\n"
    "  show         one: since when, which robots, what to do about it\n"
    "  acknowledge  somebody looks after it: it is closed, and the alarms of robots that raised it go;\n"
    "               another robot or a new alarm opens another one\n"
    "  decisions    why robots' guards stepped in, and why rollouts moved or stopped, newest first\n"
    "\n"
    "      --robot ROBOT  decisions: of this robot alone\n"
    "      --rollout N    decisions: of this rollout alone\n" CLIENT_HELP "      --json         as JSON\n"
    "\n"
    "examples:\n"
    "  muster drift list\n"
    "  muster drift acknowledge 3 --note \"lens of r7 cleaned\"\n"
    "  muster drift decisions --rollout 2 --limit 1\n";

struct flags {
    struct client_flags where;
    bool json, all;
    const char *note, *robot;
    int64_t rollout, limit;
};

static int parse(int argc, char **argv, struct flags *flags, struct operands *operands, struct err *err)
{
    *flags = (struct flags){.limit = 50};
    const struct option_def options[] = {CLIENT_OPTIONS(flags->where),
                                         OPT_FLAG("json", 0, &flags->json),
                                         OPT_FLAG("all", 0, &flags->all),
                                         OPT_TEXT("note", 0, &flags->note),
                                         OPT_TEXT("robot", 0, &flags->robot),
                                         OPT_INT("rollout", 0, &flags->rollout, 1, INT64_MAX),
                                         OPT_INT("limit", 0, &flags->limit, 1, MOST_DECISIONS)};
    return options_parse(argc, argv, options, ARRAY_LEN(options), operands, err);
}

static int ask(const struct flags *flags, const char *method, const char *path, const char *body,
               struct buf *answer, struct err *err)
{
    cleanup_client struct client *client = NULL;
    if (!path)
        return err_no_memory(err);
    return client_open(&flags->where, &client, err) < 0 ||
                   client_call(client, method, path, body, answer, err) < 0
               ? -1
               : 0;
}

/* ---- one, in a line and in full ---- */

static void when(struct json_at at, const char *key, char out[CLOCK_RFC3339_SIZE])
{
    int64_t time_ms = 0;
    json_get_int(at, key, INT64_MIN, INT64_MAX, &time_ms);
    if (time_ms)
        clock_rfc3339(time_ms, out);
    else
        str_copy(out, CLOCK_RFC3339_SIZE, "-");
}

static void release_of(struct json_at at, char *out, size_t size)
{
    char name[64] = "", version[64] = "";
    if (json_has(at, "release")) {
        json_get_line(json_child(at, "release"), "name", name, sizeof name);
        json_get_line(json_child(at, "release"), "version", version, sizeof version);
    }
    snprintf(out, size, "%s:%s", name, version);
}

static void print_robots(struct json_at at, size_t most)
{
    uint64_t all = 0;
    size_t count = 0;
    char robot[64] = "";
    json_get_u64(at, "robot_count", INT64_MAX, &all);
    struct json_at robots = json_list(at, "robots", MOST_ROBOTS, &count);
    for (size_t i = 0; i < MIN(count, most); i++) {
        json_as_string(json_item(robots, i), robot, sizeof robot);
        printf("%s%s", i ? " " : "", robot);
    }
    if (all > MIN(count, most))
        printf("%s(%llu in all)", count ? " " : "", (unsigned long long)all);
    puts("");
}

static void print_line(struct json_at at)
{
    uint64_t id = 0;
    bool common = false;
    char release[132], cause[16] = "", opened[CLOCK_RFC3339_SIZE];
    json_get_u64(at, "id", INT64_MAX, &id);
    json_get_line(at, "cause", cause, sizeof cause);
    json_get_bool(at, "common", &common);
    when(at, "opened_ms", opened);
    release_of(at, release, sizeof release);
    printf("%6llu  %-24s  %-12s %-8s %-24s ", (unsigned long long)id, opened, cause,
           common ? "common" : "single", release);
    print_robots(at, 4);
}

static void print_text(struct json_at at, const char *label, const char *key)
{
    char text[512] = "";
    json_get_line(at, key, text, sizeof text);
    if (text[0])
        printf("%-13s %s\n", label, text);
}

static void print_full(struct json_at at)
{
    char text[132], cause[16] = "";
    double log10_e = NAN;
    json_get_line(at, "cause", cause, sizeof cause);
    release_of(at, text, sizeof text);
    printf("%-13s %s\n%-13s %s\n", "cause", cause, "release", text);
    print_text(at, "finding", "text");
    print_text(at, "what to do", "remedy");
    when(at, "opened_ms", text);
    printf("%-13s %s\n", "since", text);
    when(at, "updated_ms", text);
    printf("%-13s %s\n", "last heard", text);
    if (json_has(at, "log10_e")) {
        json_get_double(at, "log10_e", -1e9, 1e9, &log10_e);
        printf("%-13s e-value 10^%.1f\n", "evidence", log10_e);
    }
    print_text(at, "acknowledged", "acknowledged_by");
    printf("%-13s ", "robots");
    print_robots(at, MOST_ROBOTS);
}

/* ---- list, show ---- */

static int run_list(int argc, char **argv, struct err *err)
{
    struct flags flags;
    struct operands operands = {.usage = ""};
    struct json_reader reader;
    size_t count = 0;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (parse(argc, argv, &flags, &operands, err) < 0 ||
        ask(&flags, "GET", flags.all ? "/api/v1/drift?state=all" : "/api/v1/drift?state=open", NULL, &answer,
            err) < 0)
        return -1;
    if (flags.json)
        return output_answer(&answer, err);
    if (json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "drift", MOST_SHOWN, &count);
    printf("%6s  %-24s  %-12s %-8s %-24s %s\n", "ID", "SINCE", "CAUSE", "WHERE", "RELEASE", "ROBOTS");
    for (size_t i = 0; i < count; i++)
        print_line(json_as_object(json_item(list, i)));
    return json_finish(&reader, err);
}

static int take_id(const char *text, uint64_t *out, struct err *err)
{
    return str_to_u64(text, out) && *out
               ? 0
               : err_set(err, ERR_USAGE, "\"%.40s\" is no number of a finding; see muster drift list --all",
                         text);
}

static int run_show(int argc, char **argv, struct err *err)
{
    struct flags flags;
    struct operands operands = {.usage = "ID", .min = 1, .max = 1};
    struct json_reader reader;
    uint64_t id = 0;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (parse(argc, argv, &flags, &operands, err) < 0 || take_id(operands.items[0], &id, err) < 0)
        return -1;
    cleanup_free char *path = mem_printf("/api/v1/drift/%llu", (unsigned long long)id);
    if (ask(&flags, "GET", path, NULL, &answer, err) < 0)
        return -1;
    if (flags.json)
        return output_answer(&answer, err);
    if (json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    print_full(json_root(&reader));
    return json_finish(&reader, err);
}

static int run_acknowledge(int argc, char **argv, struct err *err)
{
    struct flags flags;
    struct operands operands = {.usage = "ID", .min = 1, .max = 1};
    uint64_t id = 0;
    cleanup_json_writer struct json_writer body;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    jsonw_init(&body);
    if (parse(argc, argv, &flags, &operands, err) < 0 || take_id(operands.items[0], &id, err) < 0)
        return -1;
    jsonw_object(&body, NULL);
    if (flags.note)
        jsonw_text(&body, "note", flags.note);
    jsonw_close(&body);
    cleanup_free char *text = jsonw_take(&body, err),
                      *path = mem_printf("/api/v1/drift/%llu/acknowledge", (unsigned long long)id);
    if (!text || ask(&flags, "POST", path, text, &answer, err) < 0)
        return -1;
    if (flags.json)
        return output_answer(&answer, err);
    printf("finding %llu is closed, and the robots that raised it begin anew; another robot or a new alarm "
           "opens another one\n",
           (unsigned long long)id);
    return 0;
}

/* ---- decisions ---- */

static void print_decision(struct json_at at)
{
    struct decision decision;
    struct json_at record = json_child(at, "decision");
    struct err bad = {0};
    uint64_t id = 0;
    cleanup_free char *text = json_canonical(record);
    if (!text)
        return;
    if (decision_parse(text, strlen(text), &decision, &bad) < 0) {
        json_fail(record, "%s", bad.text);
        return;
    }
    if (!decision.robot[0])
        json_get_line(at, "robot", decision.robot, sizeof decision.robot);
    json_get_u64(at, "id", INT64_MAX, &id);
    printf("decision  %llu\n", (unsigned long long)id);
    explain_say_decision(&decision);
    puts("");
}

static int run_decisions(int argc, char **argv, struct err *err)
{
    struct flags flags;
    struct operands operands = {.usage = ""};
    struct json_reader reader;
    size_t count = 0;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (parse(argc, argv, &flags, &operands, err) < 0)
        return -1;
    if (flags.robot && !str_is_name(flags.robot, 63))
        return err_set(err, ERR_USAGE, "\"%.80s\" is no robot id", flags.robot);
    cleanup_free char *path =
        mem_printf("/api/v1/decisions?limit=%lld&rollout=%lld%s%s", (long long)flags.limit,
                   (long long)flags.rollout, flags.robot ? "&robot=" : "", flags.robot ? flags.robot : "");
    if (ask(&flags, "GET", path, NULL, &answer, err) < 0)
        return -1;
    if (flags.json)
        return output_answer(&answer, err);
    if (json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "decisions", MOST_DECISIONS, &count);
    for (size_t i = 0; i < count; i++)
        print_decision(json_as_object(json_item(list, i)));
    return json_finish(&reader, err);
}

static int run(int argc, char **argv, struct err *err)
{
    static const struct verb table[] = {
        {.name = "list", .run = run_list},
        {.name = "show", .run = run_show},
        {.name = "acknowledge", .run = run_acknowledge},
        {.name = "decisions", .run = run_decisions},
    };
    return verb_dispatch(table, ARRAY_LEN(table), "muster drift", argc - 1, argv + 1, err);
}

const struct verb verb_drift = {
    .name = "drift",
    .summary = "what is not as it was when a release was made: list, show, acknowledge, decisions",
    .help = help,
    .run = run};
