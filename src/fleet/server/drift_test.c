/* What robots' watchers find, at the server: one finding per release and cause with its robots, closed by people; why guards stepped in. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/harness.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "wire/api.h"
#include "wire/decision.h"
#include "wire/seen.h"

#include <math.h>
#include <string.h>

static const char stream[] = "0123456789abcdef0123456789abcdef";

struct fixture {
    struct harness h;
    struct robot_peer one, two;
    uint64_t seq[2];
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    harness_init(&f->h);
    harness_start(&f->h);
    harness_enroll(&f->h, "r1", &f->one);
    harness_enroll(&f->h, "r11", &f->two);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    harness_fini(&f->h);
    free(f);
    return 0;
}

static struct decision record(enum decider who, const char *rule, int version)
{
    struct decision out = {
        .time_ms = 1700000000000, .who = who, .value = 6.5, .limit = 5, .margin = -1.5, .count = 1};
    memset(out.release.bytes, version, sizeof out.release.bytes);
    str_copy(out.rule, sizeof out.rule, rule);
    str_copy(out.because, sizeof out.because, "the picture is less sharp than any that it was made from");
    str_copy(out.otherwise, sizeof out.otherwise, "at most 5, and nothing would have been said");
    return out;
}

static void send_detail(struct fixture *f, int robot, enum report_kind kind, const char *detail)
{
    cleanup_free struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    str_copy(reports->stream, sizeof reports->stream, stream);
    reports->count = 1;
    reports->records[0] = (struct api_report){.seq = ++f->seq[robot], .kind = kind, .time_ms = 1};
    str_copy(reports->records[0].detail, sizeof reports->records[0].detail, detail);
    cleanup_free char *text = api_reports_format(reports);
    cleanup_reply struct reply reply =
        robot_call(&f->h, robot ? &f->two : &f->one, "POST", "/api/v1/reports", text, strlen(text));
    assert_int_equal(reply.status, 200);
    assert_int_equal(find_number(reply.body, "acked"), f->seq[robot]);
}

static void tell(struct fixture *f, int robot, const struct decision *decision)
{
    cleanup_free char *detail = decision_format(decision);
    send_detail(f, robot, decision->who == DECIDER_DRIFT ? REPORT_DRIFT : REPORT_DECISION, detail);
}

static size_t count_in(const struct fixture *f, const char *path, const char *text)
{
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", path, NULL, 0);
    size_t count = 0;
    if (reply.status != 200)
        fail_msg("%s: %d %s", path, reply.status, reply.body);
    for (const char *at = reply.body; (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

static int acknowledge(const struct fixture *f, int id, const char *body)
{
    char path[64];
    snprintf(path, sizeof path, "/api/v1/drift/%d/acknowledge", id);
    cleanup_reply struct reply reply = harness_call(&f->h, "POST", path, body, strlen(body));
    return reply.status;
}

static const char open_ones[] = "/api/v1/drift?state=open", all[] = "/api/v1/drift", cause[] = "\"cause\":";

static void one_finding_per_release_and_cause(void **state)
{
    struct fixture *f = *state;
    struct decision lens = record(DECIDER_DRIFT, "sensor", 1),
                    night = record(DECIDER_DRIFT, "environment", 1),
                    other = record(DECIDER_DRIFT, "sensor", 2);
    tell(f, 1, &lens);
    assert_int_equal(count_in(f, "/api/v1/drift/1", "\"robots\":[\"r11\"]"), 1);
    tell(f, 0, &lens); /* r1 is no part of r11 */
    tell(f, 0, &lens); /* again: it is in there already */
    assert_int_equal(count_in(f, all, cause), 1);
    assert_int_equal(count_in(f, all, "\"robots\":[\"r11\",\"r1\"]"), 1);
    assert_int_equal(count_in(f, all, "\"robot_count\":2"), 1);
    lens.value = 9;
    tell(f, 0, &lens);
    lens.value = NAN;
    lens.limit = lens.margin = NAN;
    tell(f, 0, &lens);
    assert_int_equal(count_in(f, all, "\"log10_e\":9"), 1); /* the most that was ever seen */
    tell(f, 0, &night);
    tell(f, 0, &other);
    assert_int_equal(count_in(f, open_ones, cause), 3);
    assert_true(count_in(f, all, "\"remedy\":\"\"") == 0);
}

static void who_acknowledges_closes(void **state)
{
    struct fixture *f = *state;
    struct decision lens = record(DECIDER_DRIFT, "sensor", 1);
    tell(f, 0, &lens);
    assert_int_equal(acknowledge(f, 1, "{\"note\": 5}"), 400);
    assert_int_equal(acknowledge(f, 7, ""), 404);
    assert_int_equal(count_in(f, open_ones, cause), 1);
    assert_int_equal(acknowledge(f, 1, "{\"note\": \"lens cleaned\"}"), 200);
    assert_int_equal(acknowledge(f, 1, ""), 409);
    assert_int_equal(count_in(f, "/api/v1/audit", "lens cleaned"), 1);
    assert_int_equal(count_in(f, open_ones, cause), 0);
    tell(f, 1, &lens); /* it goes on: another one, with the robots from now on */
    assert_int_equal(count_in(f, open_ones, "\"robots\":[\"r11\"]"), 1);
    assert_int_equal(count_in(f, all, cause), 2);
    harness_stop(&f->h, SIGKILL);
    harness_start(&f->h);
    assert_int_equal(count_in(f, open_ones, "\"robots\":[\"r11\"]"), 1);
    assert_int_equal(count_in(f, all, cause), 2);
    assert_int_equal(acknowledge(f, 2, ""), 200);
}

/* ---- what is acknowledged reaches the robot ---- */

static const char nothing[] = "";

/* What a robot is told that has come so far; -1: as robots did that did not know of it. */
static char *asked(const struct fixture *f, int robot, int64_t seen)
{
    char path[96];
    snprintf(path, sizeof path, seen < 0 ? "/api/v1/commands?after=0" : "/api/v1/commands?after=0&seen=%lld",
             (long long)seen);
    cleanup_reply struct reply reply = robot_call(&f->h, robot ? &f->two : &f->one, "GET", path, NULL, 0);
    assert_true(reply.status == 204 || reply.status == 200);
    return mem_strdup(reply.status == 200 ? reply.body : nothing);
}

/* The one alarm that it is told of; 0: none. */
static int64_t told_time(const struct fixture *f, int robot, int64_t seen, int64_t *out_number)
{
    struct seen_list list;
    struct err err = {0};
    cleanup_free char *text = asked(f, robot, seen);
    if (!text[0])
        return 0;
    assert_ok(seen_parse(text, strlen(text), &list, &err), err);
    assert_int_equal(list.count, 1);
    assert_non_null(strstr(text, "\"commands\":[]"));
    *out_number = (int64_t)list.items[0].number;
    return list.items[0].time_ms;
}

static void what_is_acknowledged_reaches_those_who_raised_it(void **state)
{
    struct fixture *f = *state;
    struct decision lens = record(DECIDER_DRIFT, "sensor", 1);
    int64_t number = 0, again = 0;
    lens.time_ms = 1000;
    tell(f, 0, &lens);
    lens.time_ms = 2000; /* told anew: this one is what people see */
    tell(f, 0, &lens);
    assert_int_equal(told_time(f, 0, 0, &number), 0);
    assert_int_equal(acknowledge(f, 1, ""), 200);
    assert_int_equal(told_time(f, 0, 0, &number), 2000);
    assert_true(number > 0);
    assert_int_equal(told_time(f, 0, 0, &again), 2000); /* the answer was lost */
    assert_int_equal(again, number);
    assert_int_equal(told_time(f, 0, number, &again), 0);
    assert_int_equal(told_time(f, 1, 0, &again), 0); /* it raised none */
    cleanup_free char *old = asked(f, 0, -1);
    assert_string_equal(old, nothing);
    harness_stop(&f->h, SIGKILL);
    harness_start(&f->h);
    assert_int_equal(told_time(f, 0, 0, &again), 2000);
    assert_int_equal(again, number);
    assert_int_equal(told_time(f, 0, number + 1000000, &again), 2000); /* a server that was put back */
    assert_int_equal(again, number);
    lens.time_ms = 3000;
    tell(f, 0, &lens);
    assert_int_equal(told_time(f, 0, number, &again), 0); /* nobody saw that one */
    assert_int_equal(acknowledge(f, 2, ""), 200);
    assert_int_equal(told_time(f, 0, number, &again), 3000);
    assert_true(again > number);
}

static void decisions_are_kept_as_they_were_made(void **state)
{
    struct fixture *f = *state;
    struct decision late = record(DECIDER_GUARD, "deadline", 1);
    tell(f, 0, &late);
    str_copy(late.rule, sizeof late.rule, "rate");
    late.release.bytes[0] = 9;
    tell(f, 1, &late);
    send_detail(f, 0, REPORT_DECISION, "{\"who\":\"nobody\"}"); /* is none, and stays a report */
    send_detail(f, 0, REPORT_DRIFT, "{}");
    assert_int_equal(count_in(f, "/api/v1/decisions", "\"received_ms\""), 2);
    assert_int_equal(count_in(f, "/api/v1/decisions?robot=r1", "\"rule\":\"deadline\""),
                     2); /* and in the record */
    assert_int_equal(count_in(f, "/api/v1/decisions?robot=r11", "deadline"), 0);
    assert_int_equal(count_in(f, "/api/v1/decisions?limit=1", "\"received_ms\""), 1);
    char path[128];
    snprintf(path, sizeof path, "/api/v1/decisions?release=%s", digest_format(&late.release).text);
    assert_int_equal(count_in(f, path, "\"received_ms\""), 1);
    assert_int_equal(count_in(f, all, cause), 0);
}

/* Whatever release it names and whatever it calls the cause: a robot fills no table and no list. */
static void a_robot_does_not_fill_the_list(void **state)
{
    struct fixture *f = *state;
    struct decision alarm = record(DECIDER_DRIFT, "no cause", 1);
    tell(f, 0, &alarm);
    assert_int_equal(count_in(f, all, cause), 0);
    for (int i = 0; i < 60; i++) {
        alarm = record(DECIDER_DRIFT, "sensor", i + 1);
        tell(f, 0, &alarm);
    }
    assert_int_equal(count_in(f, open_ones, cause), 32);
    tell(f, 1, &alarm); /* another robot is heard all the same */
    assert_int_equal(count_in(f, open_ones, "\"robots\":[\"r11\"]"), 1);
}

/* ---- the verb ---- */

static char *muster_drift(const struct fixture *f, const char *verb, const char *operand, const char *note)
{
    struct err err = {0};
    char url[80], ca[160], token[160];
    int status = -1;
    struct buf out = BUF_INIT(1 << 20);
    snprintf(url, sizeof url, "https://127.0.0.1:%u", f->h.operator_port);
    snprintf(ca, sizeof ca, "%s/ca.pem", f->h.dir);
    harness_path(&f->h, "token", token);
    assert_ok(file_replace(token, f->h.token, strlen(f->h.token), 0600, &err), err);
    const char *argv[16] = {
        MUSTER_BUILD_BIN "/muster", "drift", verb, "--server", url, "--ca", ca, "--token-file", token};
    size_t count = 9;
    if (operand)
        argv[count++] = operand;
    if (note) {
        argv[count++] = "--note";
        argv[count++] = note;
    }
    assert_ok(proc_run(argv, 30000, &out, &status, &err), err);
    assert_int_equal(status, 0);
    return buf_take(&out);
}

static bool says(const struct fixture *f, const char *verb, const char *operand, const char *text)
{
    cleanup_free char *out = muster_drift(f, verb, operand, NULL);
    bool found = out && strstr(out, text);
    if (!found)
        print_message("%s\n", out ? out : "nothing");
    return found;
}

static void people_hear_of_it(void **state)
{
    struct fixture *f = *state;
    struct decision lens = record(DECIDER_DRIFT, "sensor", 1), late = record(DECIDER_GUARD, "deadline", 1);
    tell(f, 0, &lens);
    tell(f, 1, &lens);
    tell(f, 1, &late);
    assert_true(says(f, "list", NULL, "sensor"));
    assert_true(says(f, "list", NULL, "r1 r11"));
    assert_true(says(f, "show", "1", "less sharp"));
    assert_true(says(f, "show", "1", "what to do"));
    assert_true(says(f, "decisions", NULL, "guard of r11: deadline"));
    assert_true(says(f, "decisions", NULL, "otherwise at most 5"));
    cleanup_free char *done = muster_drift(f, "acknowledge", "1", "on my way");
    assert_non_null(strstr(done, "closed"));
    assert_false(strstr(done, "{"));
    assert_int_equal(count_in(f, open_ones, cause), 0);
    assert_int_equal(count_in(f, "/api/v1/audit", "on my way"), 1);
    assert_true(says(f, "list", "--all", "sensor"));
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fresh(one_finding_per_release_and_cause),
        fresh(who_acknowledges_closes),
        fresh(what_is_acknowledged_reaches_those_who_raised_it),
        fresh(decisions_are_kept_as_they_were_made),
        fresh(a_robot_does_not_fill_the_list),
        fresh(people_hear_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
