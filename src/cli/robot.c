#include "cli/verbs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/robot_here.h"
#include "sys/file.h"
#include "wire/api.h"
#include "wire/json.h"

#include <inttypes.h>

enum { PAGE = 500 };

static const char help[] =
    "usage: muster robot list [--json]\n"
    "       muster robot show ROBOT [--json]\n"
    "       muster robot enroll-token [ROBOT] [--label KEY=VALUE]… [--valid-s SECONDS] [--output FILE] "
    "[--json]\n"
    "       muster robot revoke ROBOT [--json]\n"
    "       muster robot release-quarantine ROBOT [--json]\n"
    "       muster robot here --run-dir DIR [--json]\n"
    "\n"
    "  list          every robot: is it there, what it runs, how that goes\n"
    "  show          one robot with its last reports\n"
    "  enroll-token  a token that is good for one certificate; without ROBOT for any new robot\n"
    "  revoke        its certificate is refused from now on; a new enrolment token admits it again\n"
    "  release-quarantine   two robots had its identity, and you know that the copy is gone; if it is not it "
    "is found again.\n"
    "                A new enrolment token and a new key (remove device.key on the robot) do it in any case\n"
    "  here          on the robot itself, without a server: the guard's state, who holds it and why\n"
    "\n"
    "STATE is the guard's: auto answers; hold, override, safe_stop, estop, ack_wait, service and gone do "
    "not. \"was\": "
    "the robot\n"
    "is not heard from, and this is what it said last.\n"
    "P99 and F1 (on labelled frames) are those of the release it runs, STEPPED is the share of frames on "
    "which the "
    "guard\n"
    "had to step in.\n"
    "\n" CLIENT_HELP "      --json             as JSON\n"
    "\n"
    "examples:\n"
    "  muster robot enroll-token r7 --label site=north --output r7.token\n"
    "  muster robot list --json | jq -r '.robots[] | select(.presence != \"live\") | .id'\n"
    "  muster robot list --json | jq -r '.robots[] | select(.guard.state == \"safe_stop\") | .id'\n";

/* ---- what a robot looks like for people ---- */

static void print_member(struct json_at at, const char *key, const char *member, int width)
{
    char text[96] = "-";
    if (json_has(at, key))
        json_get_string(member ? json_child(at, key) : at, member ? member : key, text, sizeof text);
    printf(" %-*s", width, text);
}

static void print_real(struct json_at at, const char *key, double factor, const char *unit, int width)
{
    char text[32] = "-";
    double value = 0;
    if (json_has(at, key)) {
        json_get_double(at, key, -1e300, 1e300, &value);
        snprintf(text, sizeof text, "%.1f%s", value * factor, unit);
    }
    printf(" %*s", width, text);
}

static void print_head(void)
{
    printf("%-16s %-8s %-13s %-12s %-12s %-12s %10s %10s %8s %8s\n", "ROBOT", "PRESENCE", "STATE", "RUNS",
           "TARGET", "PHASE", "FRAMES", "P99", "STEPPED", "F1");
}

/* What is not heard from any more is told in the past. */
static bool is_past(struct json_at robot)
{
    char presence[16] = "";
    json_get_string(robot, "presence", presence, sizeof presence);
    return !str_eq(presence, "live") && !str_eq(presence, "late");
}

static void print_state(struct json_at robot)
{
    char state[24] = "-", text[32];
    if (json_has(robot, "guard"))
        json_get_string(json_child(robot, "guard"), "state", state, sizeof state);
    snprintf(text, sizeof text, "%s%s", json_has(robot, "guard") && is_past(robot) ? "was " : "", state);
    printf(" %-13s", text);
}

/* One line under the table: since when, whose word, and why. */
static void print_guard(struct json_at robot)
{
    if (!json_has(robot, "guard"))
        return;
    struct json_at guard = json_child(robot, "guard");
    char state[24] = "", who[48] = "", text[API_MAX_SUMMARY] = "", when[CLOCK_RFC3339_SIZE];
    int64_t since_ms = 0;
    json_get_string(guard, "state", state, sizeof state);
    json_get_string(guard, "who", who, sizeof who);
    json_get_string(guard, "text", text, sizeof text);
    json_get_int(guard, "since_ms", INT64_MIN, INT64_MAX, &since_ms);
    clock_rfc3339(since_ms, when);
    printf("  guard: %s since %s%s%s (%s)%s\n", state, when, who[0] ? ", by " : "", who, text,
           is_past(robot) ? "; not heard from since, this may be over" : "");
}

static void print_quarantine(struct json_at robot)
{
    if (!json_has(robot, "quarantined"))
        return;
    struct json_at quarantine = json_child(robot, "quarantined");
    char text[API_MAX_SUMMARY] = "", when[CLOCK_RFC3339_SIZE];
    int64_t since_ms = 0;
    json_get_string(quarantine, "text", text, sizeof text);
    json_get_int(quarantine, "since_ms", INT64_MIN, INT64_MAX, &since_ms);
    clock_rfc3339(since_ms, when);
    printf("  quarantined since %s: %s\n", when, text);
}

static void print_row(struct json_at robot)
{
    char id[API_ID_SIZE] = "";
    uint64_t frames = 0;
    json_get_string(robot, "id", id, sizeof id);
    json_get_u64(robot, "frames", INT64_MAX, &frames);
    printf("%-16s", id);
    print_member(robot, "presence", NULL, 8);
    print_state(robot);
    print_member(robot, "release", "version", 12);
    print_member(robot, "target", "version", 12);
    print_member(robot, "phase", NULL, 12);
    printf(" %10" PRIu64, frames);
    print_real(robot, "latency_p99_ms", 1, " ms", 10);
    print_real(robot, "intervention_share", 100, " %", 8);
    print_real(robot, "accuracy_f1", 100, " %", 8);
    bool revoked = false;
    json_get_bool(robot, "revoked", &revoked);
    puts(revoked ? "  revoked" : json_has(robot, "quarantined") ? "  quarantined" : "");
}

/* ---- list ---- */

struct listing {
    struct client *client;
    struct json_writer *out; /* NULL: for people */
    char after[API_ID_SIZE];
};

static void take_robot(struct listing *listing, struct json_at robot)
{
    if (!listing->out) {
        print_row(json_as_object(robot));
        return;
    }
    cleanup_free char *text = json_canonical(robot);
    jsonw_raw(listing->out, NULL, text ? text : "null");
}

/* One page. *out_more: there is another behind listing->after. */
static int list_page(struct listing *listing, bool *out_more, struct err *err)
{
    cleanup_free char *path = mem_printf("/api/v1/robots?limit=%d&after=%s", PAGE, listing->after);
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (!path)
        return err_no_memory(err);
    if (client_call(listing->client, "GET", path, NULL, &answer, err) < 0)
        return -1;
    struct json_reader reader;
    size_t count = 0;
    if (json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader), list = json_list(root, "robots", PAGE, &count);
    if (!listing->out && !listing->after[0] && reader.err.code == ERR_NONE)
        print_head();
    for (size_t i = 0; i < count; i++)
        take_robot(listing, json_item(list, i));
    *out_more = json_has(root, "next");
    if (*out_more)
        json_get_name(root, "next", listing->after, sizeof listing->after);
    return json_finish(&reader, err);
}

static int list_all(struct listing *listing, struct err *err)
{
    bool more = true;
    while (more)
        if (list_page(listing, &more, err) < 0)
            return -1;
    return 0;
}

static int run_list(int argc, char **argv, struct err *err)
{
    bool json = false;
    struct operands operands = {.usage = "", .max = 0};
    cleanup_client struct client *client = NULL;
    if (client_start(argc, argv, &operands, &json, &client, err) < 0)
        return -1;
    struct listing listing = {.client = client};
    if (!json)
        return list_all(&listing, err);
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    listing.out = &out;
    jsonw_object(&out, NULL);
    jsonw_array(&out, "robots");
    if (list_all(&listing, err) < 0)
        return -1;
    jsonw_close(&out);
    jsonw_close(&out);
    return output_print(&out, err);
}

/* ---- show and revoke ---- */

static void print_reports(struct json_at root)
{
    size_t count = 0;
    struct json_at list = json_list(root, "reports", 1000, &count);
    for (size_t i = 0; i < count; i++) {
        struct json_at report = json_as_object(json_item(list, i));
        int64_t time_ms = 0;
        char when[CLOCK_RFC3339_SIZE];
        json_get_int(report, "time_ms", INT64_MIN, INT64_MAX, &time_ms);
        clock_rfc3339(time_ms, when);
        printf("  %s", when);
        print_member(report, "kind", NULL, 12);
        print_member(report, "version", NULL, 12);
        char text[API_MAX_SUMMARY] = "";
        json_get_string(report, "text", text, sizeof text);
        printf(" %s\n", text);
    }
}

static int print_answer(const struct buf *answer, bool json, struct err *err)
{
    if (json) {
        puts(buf_text(answer));
        return 0;
    }
    struct json_reader reader;
    if (json_read(&reader, "answer of the server", buf_text(answer), answer->len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    print_head();
    print_row(root);
    print_guard(root);
    print_quarantine(root);
    if (json_has(root, "reports"))
        print_reports(root);
    return json_finish(&reader, err);
}

static int run_one(int argc, char **argv, const char *method, const char *suffix, struct err *err)
{
    bool json = false;
    struct operands operands = {.usage = "ROBOT", .min = 1, .max = 1};
    cleanup_client struct client *client = NULL;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (client_start(argc, argv, &operands, &json, &client, err) < 0)
        return -1;
    if (!str_is_name(operands.items[0], API_ID_SIZE - 1))
        return err_set(err, ERR_USAGE, "\"%.80s\" is no robot id", operands.items[0]);
    cleanup_free char *path = mem_printf("/api/v1/robots/%s%s", operands.items[0], suffix);
    if (!path)
        return err_no_memory(err);
    if (client_call(client, method, path, NULL, &answer, err) < 0)
        return -1;
    return print_answer(&answer, json, err);
}

static int run_show(int argc, char **argv, struct err *err)
{
    return run_one(argc, argv, "GET", "", err);
}

static int run_revoke(int argc, char **argv, struct err *err)
{
    return run_one(argc, argv, "POST", "/revoke", err);
}

static int run_release_quarantine(int argc, char **argv, struct err *err)
{
    return run_one(argc, argv, "POST", "/release-quarantine", err);
}

/* ---- enroll-token ---- */

static int add_label(struct json_writer *body, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    char key[sizeof((struct api_label){0}).key];
    if (!equals || (size_t)(equals - text) >= sizeof key)
        return err_set(err, ERR_USAGE, "--label %.80s: it wants KEY=VALUE", text);
    memcpy(key, text, (size_t)(equals - text));
    key[equals - text] = 0;
    jsonw_text(body, key, equals + 1);
    return 0;
}

static char *token_body(const char *robot, const struct option_list *labels, int64_t valid_s, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    if (robot)
        jsonw_text(&w, "robot", robot);
    jsonw_object(&w, "labels");
    for (size_t i = 0; i < labels->count; i++)
        if (add_label(&w, labels->items[i], err) < 0)
            return NULL;
    jsonw_close(&w);
    jsonw_i64(&w, "valid_s", valid_s);
    jsonw_close(&w);
    return jsonw_take(&w, err);
}

static int hand_out(const struct buf *answer, bool json, const char *path, struct err *err)
{
    if (json && !path) {
        puts(buf_text(answer));
        return 0;
    }
    struct json_reader reader;
    char line[80] = "";
    if (json_read(&reader, "answer of the server", buf_text(answer), answer->len, err) < 0)
        return -1;
    json_get_name(json_root(&reader), "token", line, sizeof line - 1);
    if (json_finish(&reader, err) < 0)
        return -1;
    size_t len = strlen(line);
    line[len++] = '\n';
    line[len] = 0;
    if (path)
        return file_create(path, line, len, 0600, err);
    fputs(line, stdout);
    return 0;
}

static int run_enroll_token(int argc, char **argv, struct err *err)
{
    struct client_flags where = {0};
    bool json = false;
    struct option_list labels = {0};
    int64_t valid_s = 24 * 3600;
    const char *path = NULL;
    struct operands operands = {.usage = "[ROBOT]", .max = 1};
    const struct option_def options[] = {
        CLIENT_OPTIONS(where), OPT_FLAG("json", 0, &json), OPT_LIST("label", 'l', &labels),
        OPT_INT("valid-s", 0, &valid_s, 1, 90 * 24 * 3600), OPT_TEXT("output", 'o', &path)};
    cleanup_client struct client *client = NULL;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (path && file_exists(path))
        return err_set(err, ERR_EXISTS, "%s exists; name another file", path);
    cleanup_free char *body = token_body(operands.count ? operands.items[0] : NULL, &labels, valid_s, err);
    if (!body || client_open(&where, &client, err) < 0 ||
        client_call(client, "POST", "/api/v1/enroll-tokens", body, &answer, err) < 0)
        return -1;
    return hand_out(&answer, json, path, err);
}

static int run(int argc, char **argv, struct err *err)
{
    static const struct verb table[] = {
        {.name = "list", .run = run_list},
        {.name = "show", .run = run_show},
        {.name = "enroll-token", .run = run_enroll_token},
        {.name = "revoke", .run = run_revoke},
        {.name = "release-quarantine", .run = run_release_quarantine},
        {.name = "here", .run = robot_here},
    };
    return verb_dispatch(table, ARRAY_LEN(table), "muster robot", argc - 1, argv + 1, err);
}

const struct verb verb_robot = {.name = "robot",
                                .summary = "the robots of a fleet: list, show, enroll, revoke",
                                .help = help,
                                .run = run};
