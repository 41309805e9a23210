/* The matrix: every operator route × every role × the whole fleet or one site × a robot of that site or of another. Generated from
 * the tables that enforce it (fleet/api/routes.c, fleet/rights/rights.def); what is expected is worked out here by other means: from the right
 * and the reach that the route names, and from whether the grant has a selector. A route that names robots in a way this test does not know
 * fails it. */
#include "base/testing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "fleet/testing/harness.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "trust/command.h"

#include <string.h>
#include <unistd.h>

enum {
    NEAR,
    FAR,
    SITES
}; /* robot-near is at site north, robot-far at site south; limited grants are for north */
static const char *const robots[SITES] = {"robot-near", "robot-far"};
static const char *const sites[SITES] = {"north", "south"};

struct world {
    struct harness h;
    char tokens[ROLE_COUNT][2][80]; /* of each role: for the fleet, for site north */
    char release[80];
    uint64_t rollout[SITES], command[SITES], incident[SITES], review[SITES];
    struct signing_key *key;
    unsigned nonces;
};

static void make_token(struct world *w, enum role role, bool limited)
{
    struct err err = {0};
    char rights[64], name[64], path[160];
    int status = -1;
    snprintf(name, sizeof name, "%s-%s", role_name(role), limited ? "north" : "fleet");
    snprintf(rights, sizeof rights, "%s%s", role_name(role), limited ? ":site=north" : "");
    harness_path(&w->h, name, path);
    const char *const argv[] = {MUSTER_BUILD_BIN "/musterd",
                                "token",
                                "--dir",
                                w->h.dir,
                                "--name",
                                name,
                                "--rights",
                                rights,
                                "--token-file",
                                path,
                                NULL};
    assert_ok(proc_run(argv, 30000, NULL, &status, &err), err);
    assert_int_equal(status, 0);
    cleanup_buf struct buf text = BUF_INIT(100);
    assert_ok(file_read(path, &text, &err), err);
    str_copy(w->tokens[role][limited], 80, buf_text(&text));
    w->tokens[role][limited][strcspn(w->tokens[role][limited], "\n")] = 0;
}

static struct reply ask(const struct world *w, const char *token, const char *method, const char *path,
                        const char *body)
{
    struct harness as = w->h;
    str_copy(as.token, sizeof as.token, token);
    return harness_call(&as, method, path, body, body ? strlen(body) : 0);
}

static char *order(struct world *w, const char *robot)
{
    struct err err = {0};
    char ids[1][64];
    int64_t now = clock_wall_ms();
    struct command command = {
        .verb = COMMAND_HOLD, .issued_ms = now, .expires_ms = now + 60000, .robots = ids, .robot_count = 1};
    str_copy(ids[0], sizeof ids[0], robot);
    str_copy(command.operator_name, sizeof command.operator_name, "alice");
    str_copy(command.reason, sizeof command.reason, "test");
    snprintf(command.nonce, sizeof command.nonce, "%032x", ++w->nonces);
    char *text = command_sign(&command, w->key, &err);
    assert_non_null(text);
    return text;
}

static char *rollout_of(const struct world *w, const char *site)
{
    char *text = mem_printf("{\"name\":\"go-%s\",\"release\":\"%s\",\"select\":{\"site\":\"%s\"},\"waves\":[{"
                            "\"name\":\"all\",\"percent\":100,"
                            "\"bake_s\":0}],\"wave_timeout_s\":900}",
                            site, w->release, site);
    assert_non_null(text);
    return text;
}

static uint64_t make(const struct world *w, const char *path, const char *body)
{
    cleanup_reply struct reply reply = ask(w, w->h.token, "POST", path, body);
    if (reply.status != 201)
        fail_msg("%s: %d %s", path, reply.status, reply.body);
    return (uint64_t)find_number(reply.body, "id");
}

/* An incident wants a robot's signed recording; for who may see it a row is enough. */
static void make_incidents(struct world *w)
{
    struct err err = {0};
    char path[200];
    struct store *store = NULL;
    snprintf(path, sizeof path, "%s/muster.db", w->h.dir);
    assert_ok(store_open_sqlite(path, &store, &err), err);
    assert_ok(store->ops->begin(store, &err), err);
    for (int site = 0; site < SITES; site++) {
        struct incident_row row = {.bytes = 1, .severity = 1, .time_ms = 1};
        memset(row.digest.bytes, site + 1, sizeof row.digest.bytes);
        str_copy(row.robot, sizeof row.robot, robots[site]);
        snprintf(row.name, sizeof row.name, "000001-%s", robots[site]);
        str_copy(row.cause, sizeof row.cause, "estop");
        assert_ok(store->ops->incident_add(store, &row, &w->incident[site], &err), err);
        struct review_row review = {.time_ms = 1, .probability = 1, .reason = SAMPLE_ALARM};
        str_copy(review.robot, sizeof review.robot, robots[site]);
        assert_ok(store->ops->review_add(store, &review, &w->review[site], &err), err);
    }
    assert_ok(store->ops->commit(store, &err), err);
    store_free(store);
}

static int setup(void **state)
{
    struct world *w = mem_zalloc(1, sizeof *w);
    struct err err = {0};
    harness_init(&w->h);
    harness_start(&w->h);
    assert_ok(signing_key_generate(&w->key, &err), err);
    for (int site = 0; site < SITES; site++) {
        struct robot_peer peer;
        harness_enroll_at(&w->h, robots[site], sites[site], &peer);
    }
    struct digest release = harness_push(&w->h, "1.0.0");
    str_copy(w->release, sizeof w->release, digest_format(&release).text);
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int limited = 0; limited < 2; limited++)
            make_token(w, (enum role)role, limited);
    harness_stop(&w->h, SIGTERM);
    make_incidents(w);
    harness_start(&w->h);
    for (int site = 0; site < SITES; site++) {
        cleanup_free char *rollout = rollout_of(w, sites[site]), *command = order(w, robots[site]);
        w->rollout[site] = make(w, "/api/v1/rollouts", rollout);
        w->command[site] = make(w, "/api/v1/commands", command);
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    harness_fini(&w->h);
    signing_key_free(w->key);
    free(w);
    return 0;
}

/* ---- one question per route and site ---- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What stands for :id; false: this test does not know, which is a failure for routes that name robots by it. */
static bool id_for(const struct world *w, const char *pattern, int site, char out[80])
{
    static const char *const roots[] = {"/api/v1/rollouts/", "/api/v1/commands/", "/api/v1/incidents/",
                                        "/api/v1/reviews/"};
    const uint64_t ids[] = {w->rollout[site], w->command[site], w->incident[site], w->review[site]};
    if (begins(pattern, "/api/v1/robots/"))
        return str_copy(out, 80, robots[site]);
    for (size_t i = 0; i < ARRAY_LEN(roots); i++)
        if (begins(pattern, roots[i]))
            return snprintf(out, 80, "%llu", (unsigned long long)ids[i]) > 0;
    return false;
}

static bool path_for(const struct world *w, const char *pattern, int site, char out[256])
{
    char value[80];
    const char *colon = strchr(pattern, ':');
    if (!colon)
        return str_copy(out, 256, pattern);
    size_t name = strcspn(colon, "/");
    bool known = true;
    if (strncmp(colon, ":id", name) == 0)
        known = id_for(w, pattern, site, value);
    else
        str_copy(value, sizeof value, strncmp(colon, ":digest", name) == 0 ? w->release : "x");
    snprintf(out, 256, "%.*s%s%s", (int)(colon - pattern), pattern, known ? value : "1", colon + name);
    return known;
}

/* A body that names the robot, for routes that name robots there. */
static char *body_for(struct world *w, const char *pattern, int site)
{
    if (str_eq(pattern, "/api/v1/commands"))
        return order(w, robots[site]);
    if (str_eq(pattern, "/api/v1/rollouts"))
        return rollout_of(w, sites[site]);
    if (begins(pattern, "/api/v1/reviews/"))
        return mem_strdup("{\"verdict\": \"unsure\"}");
    if (str_eq(pattern, "/api/v1/missed"))
        return mem_printf("{\"robot\": \"%s\", \"from_ms\": 1, \"until_ms\": 2, \"label\": \"fall\"}",
                          robots[site]);
    return mem_strdup("{}");
}

static bool names_robots(const struct api_route *route)
{
    return route->reach == REACH_NAMED || route->reach == REACH_ROBOT;
}

static bool expected(const struct api_route *route, enum role role, bool limited, int site)
{
    if (!role_has(role, route->right) || route->reach == REACH_NOBODY)
        return false;
    if (route->reach == REACH_FLEET)
        return !limited;
    return !names_robots(route) || !limited || site == NEAR;
}

static const char *const methods[] = {[HTTP_GET] = "GET",
                                      [HTTP_HEAD] = "HEAD",
                                      [HTTP_POST] = "POST",
                                      [HTTP_PUT] = "PUT",
                                      [HTTP_DELETE] = "DELETE"};

/* Refused is 403, or 404 in the words for what does not exist. */
static bool was_refused(const struct reply *reply, int site)
{
    return reply->status == 403 ||
           (reply->status == 404 && site == FAR && reply->body && strstr(reply->body, "is not known"));
}

static void check_one(struct world *w, const struct api_route *route, enum role role, bool limited, int site)
{
    char path[256];
    bool known = path_for(w, route->pattern, site, path);
    if (!known && names_robots(route))
        fail_msg("%s names robots in a way that this test does not know; teach it", route->pattern);
    bool writes = route->method == HTTP_POST || route->method == HTTP_PUT;
    cleanup_free char *body = writes ? body_for(w, route->pattern, site) : NULL;
    cleanup_reply struct reply reply = ask(w, w->tokens[role][limited], methods[route->method], path, body);
    bool may = expected(route, role, limited, site);
    /* A HEAD's refusal has no words. */
    bool refused = was_refused(&reply, site) || (route->method == HTTP_HEAD && reply.status == 404 && !may);
    if (reply.status == 0 || reply.status == 401 || reply.status >= 500 || refused == may)
        fail_msg("%s %s as %s%s, for %s: %d %s; %s", methods[route->method], path, role_name(role),
                 limited ? " of the north" : "", robots[site], reply.status, reply.body,
                 may ? "he may" : "he may not");
    if (may && limited && role_has(role, RIGHT_SEE) && reply.body && strstr(reply.body, robots[FAR]))
        fail_msg("%s %s tells %s of the north about %s: %s", methods[route->method], path, role_name(role),
                 robots[FAR], reply.body);
}

static bool is_stream(const struct api_route *route)
{
    return str_eq(route->pattern, "/api/v1/events");
}

static void check_route(struct world *w, const struct api_route *route)
{
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int limited = 0; limited < 2; limited++)
            for (int site = 0; site < SITES; site++)
                check_one(w, route, (enum role)role, limited, site);
}

static void test_every_route_and_role(void **state)
{
    struct world *w = *state;
    struct api_routes table = api_operator_routes();
    size_t asked = 0, last = 0;
    for (size_t i = 0; i < table.count; i++) {
        const struct api_route *route = &table.items[i];
        if (route->who != WHO_OPERATOR || is_stream(route))
            continue;
        assert_int_not_equal(route->reach, REACH_NOBODY);
        assert_int_not_equal(route->right, RIGHT_NONE);
        if (str_eq(route->pattern, "/api/v1/robots/:id/revoke")) { /* nothing works on the robot after it */
            last = i + 1;
            continue;
        }
        check_route(w, route);
        asked++;
    }
    assert_true(last > 0);
    check_route(w, &table.items[last - 1]);
    print_message("%zu routes, %zu questions\n", asked + 1, (asked + 1) * ROLE_COUNT * 2 * SITES);
}

/* The stream of events ends with one about the near robot; what came before has the other in it for those alone who see it. */
static void check_events(struct world *w, bool limited)
{
    struct peer peer;
    size_t len, got = 0;
    static char seen[256 << 10];
    char headers[160];
    cleanup_free char *command = order(w, robots[NEAR]);
    make(w, "/api/v1/commands", command);
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", w->tokens[ROLE_VIEWER][limited]);
    cleanup_free char *request = format_request("GET", "/api/v1/events?after=0", headers, NULL, 0, &len);
    assert_true(peer_open(&peer, w->h.operator_port, true, NULL, NULL));
    assert_true(peer_send(&peer, request, len));
    seen[0] = '\0';
    for (long n = 1; n > 0 && !strstr(seen, "hold by alice");) {
        n = peer_read(&peer, seen + got, sizeof seen - 1 - got);
        got += n > 0 ? (size_t)n : 0;
        seen[got] = '\0';
    }
    peer_close(&peer);
    assert_non_null(strstr(seen, robots[NEAR]));
    assert_int_equal(strstr(seen, robots[FAR]) != NULL, !limited);
}

static void test_events_of_others_are_not_told(void **state)
{
    check_events(*state, false);
    check_events(*state, true);
}

static int list_status(const struct world *w, const char *token)
{
    cleanup_reply struct reply reply = ask(w, token, "GET", "/api/v1/robots", NULL);
    return reply.status;
}

/* Both refused, in words that differ in the name alone; names are of one length. */
static void check_same_words(struct reply *hidden, struct reply *none, const char *hidden_name,
                             const char *no_name)
{
    assert_int_equal(hidden->status, 404);
    assert_int_equal(none->status, 404);
    for (char *at = hidden->body; (at = strstr(at, hidden_name));)
        memcpy(at, no_name, strlen(no_name));
    assert_string_equal(hidden->body, none->body);
}

static void check_hidden(struct world *w, const char *path, uint64_t id)
{
    char hidden_name[24], no_name[24], hidden_path[96], no_path[96];
    snprintf(hidden_name, sizeof hidden_name, "%llu", (unsigned long long)id);
    snprintf(no_name, sizeof no_name, "%llu", (unsigned long long)id + 9 - id % 10);
    assert_string_not_equal(hidden_name, no_name);
    snprintf(hidden_path, sizeof hidden_path, "%s/%s", path, hidden_name);
    snprintf(no_path, sizeof no_path, "%s/%s", path, no_name);
    cleanup_reply struct reply hidden = ask(w, w->tokens[ROLE_OPERATOR][1], "GET", hidden_path, NULL);
    cleanup_reply struct reply none = ask(w, w->tokens[ROLE_OPERATOR][1], "GET", no_path, NULL);
    check_same_words(&hidden, &none, hidden_name, no_name);
}

static void test_what_is_hidden_is_as_what_is_not(void **state)
{
    struct world *w = *state;
    const char *token = w->tokens[ROLE_OPERATOR][1]; /* of the north */
    cleanup_reply struct reply robot = ask(w, token, "GET", "/api/v1/robots/robot-far", NULL);
    cleanup_reply struct reply no_robot = ask(w, token, "GET", "/api/v1/robots/robot-fog", NULL);
    check_same_words(&robot, &no_robot, "robot-far", "robot-fog");
    cleanup_free char *order_far = order(w, "robot-far"), *order_fog = order(w, "robot-fog");
    cleanup_reply struct reply ordered = ask(w, token, "POST", "/api/v1/commands", order_far);
    cleanup_reply struct reply not_ordered = ask(w, token, "POST", "/api/v1/commands", order_fog);
    check_same_words(&ordered, &not_ordered, "robot-far", "robot-fog");
    check_hidden(w, "/api/v1/commands", w->command[FAR]);
    check_hidden(w, "/api/v1/incidents", w->incident[FAR]);
}

/* Whether a stream ends, without a word of what was ordered meanwhile. */
static bool ends_silently(struct peer *stream)
{
    static char seen[64 << 10];
    size_t got = 0;
    for (long n = 1; n > 0 && got < sizeof seen - 1;) {
        n = peer_read(stream, seen + got, sizeof seen - 1 - got);
        got += n > 0 ? (size_t)n : 0;
        seen[got] = '\0';
        if (strstr(seen, "hold by alice") || strstr(seen, "\r\n0\r\n\r\n"))
            break;
    }
    return !strstr(seen, "hold by alice");
}

static void open_stream(const struct world *w, const char *token, struct peer *out)
{
    size_t len;
    char headers[160];
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", token);
    cleanup_free char *request =
        format_request("GET", "/api/v1/events?after=1000000", headers, NULL, 0, &len);
    assert_true(peer_open(out, w->h.operator_port, true, NULL, NULL) && peer_send(out, request, len));
}

static void test_a_token_ends_with_its_next_request(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct peer stream;
    int status = -1;
    const char *const argv[] = {
        MUSTER_BUILD_BIN "/musterd", "token", "--dir", w->h.dir, "--revoke", "viewer-fleet", NULL};
    assert_int_equal(list_status(w, w->tokens[ROLE_VIEWER][0]), 200);
    open_stream(w, w->tokens[ROLE_VIEWER][0], &stream);
    assert_ok(proc_run(argv, 30000, NULL, &status, &err), err);
    assert_int_equal(status, 0);
    assert_int_equal(list_status(w, w->tokens[ROLE_VIEWER][0]), 401);
    assert_int_equal(list_status(w, w->tokens[ROLE_VIEWER][1]), 200);
    usleep(1100000); /* asked once a second */
    cleanup_free char *body = mem_strdup("{\"labels\":{\"site\":\"x\"}}");
    cleanup_reply struct reply any = ask(w, w->h.token, "POST", "/api/v1/enroll-tokens", body);
    assert_int_equal(any.status, 201); /* a commit, and news for streams */
    assert_true(ends_silently(&stream));
    peer_close(&stream);
}

static void test_guessing_is_stopped(void **state)
{
    struct world *w = *state;
    char guess[80];
    int refused = 0, busy = 0;
    for (int i = 0; i < 60 && !busy; i++) {
        snprintf(guess, sizeof guess, "%064d", i);
        int status = list_status(w, guess);
        refused += status == 401;
        busy += status == 429;
    }
    assert_true(refused >= 10 && busy == 1);
    assert_int_equal(list_status(w, w->h.token), 200); /* nobody keeps others behind his address out */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_of_others_are_not_told),
        cmocka_unit_test(test_what_is_hidden_is_as_what_is_not),
        cmocka_unit_test(test_every_route_and_role), /* revokes the robots at its end */
        cmocka_unit_test(test_a_token_ends_with_its_next_request),
        cmocka_unit_test(test_guessing_is_stopped),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
