#include "cli/verbs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/approve.h"
#include "cli/client.h"
#include "sys/file.h"
#include "wire/api.h"
#include "wire/json.h"
#include "wire/rollout.h"

#include <inttypes.h>

enum { SPEC_MAX_BYTES = 256 << 10, WATCH_PERIOD_S = 1 };

static const char help[] =
    "usage: muster rollout start SPEC.yaml [--json]\n"
    "       muster rollout list [--json]\n"
    "       muster rollout status ID [--json]\n"
    "       muster rollout watch ID [--timeout-s SECONDS] [--json]\n"
    "       muster rollout pause|resume|abort ID [--json]\n"
    "       muster rollout approve ID --reason TEXT [--key FILE] [--root FILE]\n"
    "\n"
    "  start   begins to give a release to the selected robots, wave by wave\n"
    "  status  waves, robots and gates as they stand\n"
    "  watch   follows it to its end: 0 if it is done, 3 if it was rolled back, 5 if SECONDS are over "
    "before\n"
    "  approve signs the rollout's plan with your key, where the release's terms ask for it (muster approve "
    "--help)\n"
    "  abort   sends the robots that moved back to what they had; one that had nothing keeps the release\n"
    "\n"
    "A gate fails when what the robots showed refutes it (alpha). On the wrong side of its limit but not "
    "refuted it is\n"
    "waiting: it stops nothing, but no wave passes with it.\n"
    "\n" CLIENT_HELP "      --json             as JSON\n"
    "\n"
    "examples:\n"
    "  muster rollout start rollout.yaml\n"
    "  muster rollout watch 3 --timeout-s 3600\n"
    "  muster rollout status 3 --json | jq '.gates[] | select(.verdict == \"fail\")'\n";

/* ---- a rollout for people ---- */

static void print_gate(struct json_at gate)
{
    char name[48] = "", verdict[16] = "", value_text[32] = "-";
    double value = 0, limit = 0;
    uint64_t evidence = 0;
    json_get_string(gate, "name", name, sizeof name);
    json_get_string(gate, "verdict", verdict, sizeof verdict);
    json_get_double(gate, "limit", -1e300, 1e300, &limit);
    json_get_u64(gate, "evidence", INT64_MAX, &evidence);
    if (json_has(gate, "value")) {
        json_get_double(gate, "value", -1e300, 1e300, &value);
        snprintf(value_text, sizeof value_text, "%.4g", value);
    }
    printf("  gate %-20s %10s  limit %-8.4g %8" PRIu64 " observations  %s\n", name, value_text, limit,
           evidence, verdict);
}

static void print_wave(struct json_at wave)
{
    char name[48] = "", state[16] = "", robot[API_ID_SIZE] = "";
    size_t count = 0;
    json_get_string(wave, "name", name, sizeof name);
    json_get_string(wave, "state", state, sizeof state);
    struct json_at robots = json_list(wave, "robots", 1 << 20, &count);
    printf("  wave %-20s %-8s", name, state);
    for (size_t i = 0; i < count && i < 8; i++) {
        json_as_string(json_item(robots, i), robot, sizeof robot);
        printf(" %s", robot);
    }
    if (count > 8)
        printf(" … (%zu)", count);
    if (json_has(wave, "bake_left_s")) {
        int64_t left_s = 0;
        json_get_int(wave, "bake_left_s", 0, INT64_MAX, &left_s);
        printf("  bakes for %" PRId64 " s", left_s);
    }
    puts("");
}

static void print_line(struct json_at rollout)
{
    uint64_t id = 0;
    char name[64] = "", state[24] = "", version[64] = "", reason[256] = "";
    json_get_u64(rollout, "id", INT64_MAX, &id);
    json_get_string(rollout, "name", name, sizeof name);
    json_get_string(rollout, "state", state, sizeof state);
    json_get_string(rollout, "reason", reason, sizeof reason);
    if (json_has(rollout, "release"))
        json_get_string(json_child(rollout, "release"), "version", version, sizeof version);
    printf("%-4" PRIu64 " %-24s %-12s %-12s %s\n", id, name, version, state, reason);
}

/* Whose word a rollout waits for. */
static void print_approvals(struct json_at approvals)
{
    int64_t needed = 0, have = 0;
    size_t count = 0;
    char name[48] = "";
    json_get_int(approvals, "needed", 0, INT64_MAX, &needed);
    json_get_int(approvals, "have", 0, INT64_MAX, &have);
    struct json_at from = json_list(approvals, "from", 64, &count);
    printf("  approvals %" PRId64 " of %" PRId64, have, needed);
    for (size_t i = 0; i < count; i++) {
        json_as_string(json_item(from, i), name, sizeof name);
        printf("%s %s", i ? "," : ":", name);
    }
    puts("");
}

static void print_rollout(struct json_at rollout)
{
    size_t count = 0;
    print_line(rollout);
    if (json_has(rollout, "approvals"))
        print_approvals(json_child(rollout, "approvals"));
    struct json_at waves = json_list(rollout, "waves", ROLLOUT_MAX_WAVES, &count);
    for (size_t i = 0; i < count; i++)
        print_wave(json_as_object(json_item(waves, i)));
    struct json_at gates = json_list(rollout, "gates", 64, &count);
    for (size_t i = 0; i < count; i++)
        print_gate(json_as_object(json_item(gates, i)));
}

static int print_answer(const struct buf *answer, bool json, struct err *err)
{
    struct json_reader reader;
    if (json) {
        puts(buf_text(answer));
        return 0;
    }
    if (json_read(&reader, "answer of the server", buf_text(answer), answer->len, err) < 0)
        return -1;
    print_rollout(json_root(&reader));
    return json_finish(&reader, err);
}

/* ---- start ---- */

static int read_spec(const char *path, char **out_json, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(SPEC_MAX_BYTES);
    cleanup_free struct rollout_spec *spec = mem_zalloc(1, sizeof *spec);
    if (!spec)
        return err_no_memory(err);
    if (file_read(path, &text, err) < 0 ||
        rollout_spec_parse_yaml(path, buf_text(&text), text.len, spec, err) < 0)
        return -1;
    *out_json = rollout_spec_format(spec);
    return *out_json ? 0 : err_no_memory(err);
}

static int print_started(const struct buf *answer, struct err *err)
{
    struct json_reader reader;
    uint64_t id = 0;
    if (json_read(&reader, "answer of the server", buf_text(answer), answer->len, err) < 0)
        return -1;
    json_get_u64(json_root(&reader), "id", INT64_MAX, &id);
    if (json_finish(&reader, err) < 0)
        return -1;
    printf("rollout %" PRIu64 " has begun; follow it with: muster rollout watch %" PRIu64 "\n", id, id);
    return 0;
}

static int run_start(int argc, char **argv, struct err *err)
{
    bool json = false;
    struct operands operands = {.usage = "SPEC.yaml", .min = 1, .max = 1};
    cleanup_client struct client *client = NULL;
    cleanup_free char *body = NULL;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (client_start(argc, argv, &operands, &json, &client, err) < 0 ||
        read_spec(operands.items[0], &body, err) < 0 ||
        client_call(client, "POST", "/api/v1/rollouts", body, &answer, err) < 0)
        return -1;
    if (!json)
        return print_started(&answer, err);
    puts(buf_text(&answer));
    return 0;
}

/* ---- list ---- */

static int print_list(const struct buf *answer, struct err *err)
{
    struct json_reader reader;
    size_t count = 0;
    if (json_read(&reader, "answer of the server", buf_text(answer), answer->len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "rollouts", 1000, &count);
    printf("%-4s %-24s %-12s %-12s %s\n", "ID", "NAME", "RELEASE", "STATE", "REASON");
    for (size_t i = 0; i < count; i++)
        print_line(json_as_object(json_item(list, i)));
    return json_finish(&reader, err);
}

static int run_list(int argc, char **argv, struct err *err)
{
    bool json = false;
    struct operands operands = {.usage = "", .max = 0};
    cleanup_client struct client *client = NULL;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (client_start(argc, argv, &operands, &json, &client, err) < 0 ||
        client_call(client, "GET", "/api/v1/rollouts", NULL, &answer, err) < 0)
        return -1;
    if (!json)
        return print_list(&answer, err);
    puts(buf_text(&answer));
    return 0;
}

/* ---- one rollout ---- */

static char *path_of(const char *id_text, const char *suffix, struct err *err)
{
    uint64_t id;
    if (!str_to_u64(id_text, &id)) {
        err_set(err, ERR_USAGE, "\"%.40s\" is no rollout; it wants the number that rollout list shows",
                id_text);
        return NULL;
    }
    char *path = mem_printf("/api/v1/rollouts/%" PRIu64 "%s", id, suffix);
    if (!path)
        (void)err_no_memory(err);
    return path;
}

static int run_one(int argc, char **argv, const char *method, const char *suffix, struct err *err)
{
    bool json = false;
    struct operands operands = {.usage = "ID", .min = 1, .max = 1};
    cleanup_client struct client *client = NULL;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (client_start(argc, argv, &operands, &json, &client, err) < 0)
        return -1;
    cleanup_free char *path = path_of(operands.items[0], suffix, err);
    if (!path || client_call(client, method, path, NULL, &answer, err) < 0)
        return -1;
    return print_answer(&answer, json, err);
}

static int run_status(int argc, char **argv, struct err *err)
{
    return run_one(argc, argv, "GET", "", err);
}

static int run_pause(int argc, char **argv, struct err *err)
{
    return run_one(argc, argv, "POST", "/pause", err);
}

static int run_resume(int argc, char **argv, struct err *err)
{
    return run_one(argc, argv, "POST", "/resume", err);
}

static int run_abort(int argc, char **argv, struct err *err)
{
    return run_one(argc, argv, "POST", "/abort", err);
}

/* ---- watch ---- */

struct watched {
    char state[24], reason[256];
    bool ended;
};

static int read_state(const struct buf *answer, struct watched *out, struct err *err)
{
    struct json_reader reader;
    *out = (struct watched){0};
    if (json_read(&reader, "answer of the server", buf_text(answer), answer->len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    json_get_string(root, "state", out->state, sizeof out->state);
    json_get_string(root, "reason", out->reason, sizeof out->reason);
    out->ended = json_has(root, "ended_ms");
    return json_finish(&reader, err);
}

/* Asks until it ends. The text is shown when it has changed; a server that is away for a while does not end
 * the watch. */
static int watch(struct client *client, const char *path, int64_t timeout_s, bool json, struct watched *out,
                 struct err *err)
{
    cleanup_buf struct buf last = BUF_INIT(CLIENT_MAX_ANSWER);
    int64_t give_up_ms = clock_mono_ms() + timeout_s * 1000;
    for (;;) {
        cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
        struct err away = {0};
        if (client_call(client, "GET", path, NULL, &answer, &away) < 0 && !err_retryable(away.code))
            return *err = away, -1;
        if (away.code == ERR_NONE) {
            if (read_state(&answer, out, err) < 0)
                return -1;
            if (!json && !str_eq(buf_text(&answer), buf_text(&last)) && print_answer(&answer, false, err) < 0)
                return -1;
            if (out->ended)
                return json ? print_answer(&answer, true, err) : 0;
            buf_reset(&last);
            if (buf_put(&last, answer.data, answer.len, err) < 0)
                return -1;
        }
        fflush(stdout);
        if (timeout_s && clock_mono_ms() >= give_up_ms)
            return err_set(err, ERR_TIMEOUT, "the rollout is still %s after %" PRId64 " s",
                           out->state[0] ? out->state : "out of reach", timeout_s);
        sleep(WATCH_PERIOD_S);
    }
}

static int run_watch(int argc, char **argv, struct err *err)
{
    struct client_flags where = {0};
    bool json = false;
    int64_t timeout_s = 0;
    struct operands operands = {.usage = "ID", .min = 1, .max = 1};
    const struct option_def options[] = {CLIENT_OPTIONS(where), OPT_FLAG("json", 0, &json),
                                         OPT_INT("timeout-s", 0, &timeout_s, 1, 30 * 24 * 3600)};
    cleanup_client struct client *client = NULL;
    struct watched end = {0};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    cleanup_free char *path = path_of(operands.items[0], "", err);
    if (!path || client_open(&where, &client, err) < 0 || watch(client, path, timeout_s, json, &end, err) < 0)
        return -1;
    if (str_eq(end.state, "done"))
        return 0;
    return err_set(err, ERR_REFUSED, "the rollout ended as %s: %s", end.state, end.reason);
}

static int run(int argc, char **argv, struct err *err)
{
    static const struct verb table[] = {
        {.name = "start", .run = run_start},   {.name = "list", .run = run_list},
        {.name = "status", .run = run_status}, {.name = "watch", .run = run_watch},
        {.name = "pause", .run = run_pause},   {.name = "resume", .run = run_resume},
        {.name = "abort", .run = run_abort},   {.name = "approve", .run = approve_rollout_run},
    };
    return verb_dispatch(table, ARRAY_LEN(table), "muster rollout", argc - 1, argv + 1, err);
}

const struct verb verb_rollout = {
    .name = "rollout", .summary = "give a release to robots, wave by wave", .help = help, .run = run};
