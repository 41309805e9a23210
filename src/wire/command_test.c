#include "wire/command.h"
#include "wire/wire_testing.h"

#define NONCE "00112233445566778899aabbccddeeff"

static const char good[] =
    "{\"schema\":1,\"robots\":[\"r1\",\"r7\"],\"verb\":\"override\",\"operator\":\"alice\","
    "\"reason\":\"blocked aisle\",\"nonce\":\"" NONCE "\",\"issued_ms\":1700000000000,"
    "\"expires_ms\":1700000010000,\"lease\":0,\"ttl_ms\":5000}";

static int parse_any(const void *data, size_t len, struct err *err)
{
    cleanup_command struct command command = {0};
    return command_parse(data, len, &command, err);
}

static void a_command_says_what_it_says(void **state)
{
    struct err err = {0};
    cleanup_command struct command command = {0};
    assert_ok(command_parse(good, strlen(good), &command, &err), err);
    assert_int_equal(command.verb, COMMAND_OVERRIDE);
    assert_int_equal(command.robot_count, 2);
    assert_true(command_names(&command, "r1") && command_names(&command, "r7") &&
                !command_names(&command, "r") && !command_names(&command, "r70"));
    assert_string_equal(command.operator_name, "alice");
    assert_string_equal(command.reason, "blocked aisle");
    assert_string_equal(command.nonce, NONCE);
    assert_true(command.expires_ms - command.issued_ms == 10000 && command.ttl_ms == 5000 &&
                command.lease == 0);
}

static void hostile_bytes_are_refused(void **state)
{
    every_truncation_fails(parse_any, good, strlen(good));
    no_flip_crashes(parse_any, good, strlen(good));
}

/* The good command with one piece of it exchanged. */
static void refuse(const char *piece, const char *instead, const char *say)
{
    refuse_piece(parse_any, good, piece, instead, say);
}

static void what_is_wrong_is_named(void **state)
{
    static const char *const table[][3] = {
        {"\"schema\":1", "\"schema\":2", "schema"},
        {"\"verb\":\"override\"", "\"verb\":\"explode\"", "verb"},
        {"\"verb\":\"override\"", "\"verb\":\"stop\"", "ttl_ms"},
        {"\"verb\":\"override\"", "\"verb\":\"renew\"", "lease"},
        {"\"lease\":0", "\"lease\":3", "lease"},
        {"\"lease\":0", "\"lease\":-1", "lease"},
        {"\"ttl_ms\":5000", "\"ttl_ms\":199", "ttl_ms"},
        {"\"ttl_ms\":5000", "\"ttl_ms\":60001", "ttl_ms"},
        {"\"ttl_ms\":5000", "\"ttl_ms\":5000,\"more\":1", "more"},
        {"[\"r1\",\"r7\"]", "[]", "robots"},
        {"[\"r1\",\"r7\"]", "[\"r7\",\"r1\"]", "robots[1]"},
        {"[\"r1\",\"r7\"]", "[\"r1\",\"r1\"]", "robots[1]"},
        {"[\"r1\",\"r7\"]", "[\"*\"]", "robots[0]"},
        {"[\"r1\",\"r7\"]", "[\"../r1\"]", "robots[0]"},
        {"\"alice\"", "\"\"", "operator"},
        {"blocked aisle", "", "reason"},
        {"blocked aisle", "a\\nb", "reason"},
        {NONCE, "00112233445566778899AABBCCDDEEFF", "nonce"},
        {NONCE, "00", "nonce"},
        {"1700000010000", "1700000000000", "expires_ms"},
        {"1700000010000", "1700000300001", "expires_ms"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        refuse(table[i][0], table[i][1], table[i][2]);
}

static void random_command(uint64_t *random, struct command *out)
{
    *out = (struct command){.robot_count = 1 + random_below(random, 20)};
    out->robots = mem_zalloc(out->robot_count, sizeof out->robots[0]);
    assert_non_null(out->robots);
    for (size_t i = 0; i < out->robot_count; i++)
        snprintf(out->robots[i], sizeof out->robots[i], "robot-%04zu", i * 3);
    out->verb = (enum command_verb)random_below(random, COMMAND_VERB_COUNT);
    random_name(random, out->operator_name, sizeof out->operator_name - 1);
    random_line(random, out->reason, sizeof out->reason - 1);
    for (size_t i = 0; i < 32; i++)
        out->nonce[i] = "0123456789abcdef"[random_below(random, 16)];
    out->issued_ms = (int64_t)random_below(random, 1ULL << 45);
    out->expires_ms = out->issued_ms + 1 + (int64_t)random_below(random, COMMAND_MAX_LIFE_MS);
    bool lasting = out->verb == COMMAND_OVERRIDE || out->verb == COMMAND_RENEW;
    out->ttl_ms = lasting ? (uint32_t)(COMMAND_MIN_TTL_MS + random_below(random, 59801)) : 0;
    if (out->verb == COMMAND_RENEW || random_below(random, 2)) {
        out->robot_count = 1;
        out->lease = 1 + random_below(random, INT64_MAX);
    }
}

static void any_command_survives_the_round_trip(void **state)
{
    uint64_t random = 1;
    for (int i = 0; i < 500; i++) {
        struct err err = {0};
        cleanup_command struct command in = {0}, out = {0};
        random_command(&random, &in);
        cleanup_free char *text = command_format(&in);
        assert_non_null(text);
        assert_ok(command_parse(text, strlen(text), &out, &err), err);
        assert_int_equal(in.robot_count, out.robot_count);
        assert_memory_equal(in.robots, out.robots, in.robot_count * sizeof in.robots[0]);
        assert_true(in.verb == out.verb && in.lease == out.lease && in.ttl_ms == out.ttl_ms &&
                    in.issued_ms == out.issued_ms && in.expires_ms == out.expires_ms);
        assert_string_equal(in.operator_name, out.operator_name);
        assert_string_equal(in.reason, out.reason);
        assert_string_equal(in.nonce, out.nonce);
    }
}

static void the_most_robots_fit(void **state)
{
    struct err err = {0};
    cleanup_command struct command in = {.robot_count = COMMAND_MAX_ROBOTS, .issued_ms = 1, .expires_ms = 2};
    cleanup_command struct command out = {0};
    in.robots = mem_zalloc(COMMAND_MAX_ROBOTS, sizeof in.robots[0]);
    assert_non_null(in.robots);
    for (size_t i = 0; i < COMMAND_MAX_ROBOTS; i++)
        snprintf(in.robots[i], sizeof in.robots[i], "%063zu", i);
    str_copy(in.operator_name, sizeof in.operator_name, "alice");
    str_copy(in.reason, sizeof in.reason, "all of them");
    str_copy(in.nonce, sizeof in.nonce, NONCE);
    cleanup_free char *text = command_format(&in);
    assert_non_null(text);
    assert_ok(command_parse(text, strlen(text), &out, &err), err);
    assert_true(command_names(&out, in.robots[0]) && command_names(&out, in.robots[COMMAND_MAX_ROBOTS - 1]));
}

static void a_command_has_its_time(void **state)
{
    const struct command command = {.issued_ms = 100000, .expires_ms = 110000};
    static const struct {
        int64_t now_ms;
        bool timely;
    } table[] = {{0, false},
                 {100000 - COMMAND_SKEW_MS - 1, false},
                 {100000 - COMMAND_SKEW_MS, true},
                 {100000, true},
                 {109999, true},
                 {110000, false},
                 {INT64_MAX / 2, false}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct err err = {0};
        assert_int_equal(command_timely(&command, table[i].now_ms, &err) == 0, table[i].timely);
        assert_int_equal(err.code, table[i].timely ? ERR_NONE : ERR_REFUSED);
    }
}

static void outcomes_survive_the_round_trip(void **state)
{
    uint64_t random = 7;
    for (int i = 0; i < 500; i++) {
        char line[400];
        struct command_outcome out,
            in = {.id = random_u64(&random) >> random_below(&random, 64),
                  .verb = (enum command_verb)random_below(&random, COMMAND_VERB_COUNT),
                  .accepted = random_below(&random, 2) == 0,
                  .lease = random_u64(&random) >> random_below(&random, 64),
                  .generation = random_u64(&random) >> random_below(&random, 64)};
        random_name(&random, in.who, sizeof in.who - 1);
        random_line(&random, in.text, sizeof in.text - 1);
        command_outcome_format(&in, line, sizeof line);
        assert_true(command_outcome_parse(line, &out));
        assert_memory_equal(&in, &out, offsetof(struct command_outcome, who));
        assert_string_equal(in.who, out.who);
        assert_string_equal(in.text, out.text);
        line[128 + random_below(&random, 30)] = 0; /* cut: only people's words suffer */
        assert_true(command_outcome_parse(line, &out));
        assert_memory_equal(&in, &out, offsetof(struct command_outcome, who));
    }
}

static void other_lines_are_no_outcomes(void **state)
{
    static const char *const lines[] = {
        "",
        "override",
        "override accepted",
        "explode accepted (command 1, lease 1, generation 1) by a: b",
        "stop done (command 1, lease 1, generation 1) by a: b",
        "stop accepted (command -1, lease 1, generation 1) by a: b",
        "stop accepted (command 1, lease 1, generation 99999999999999999999999) by a: b",
        "stop accepted (command 1, lease 1) by a: b",
        "stop accepted (command 1, lease 1, generation 1)",
    };
    struct command_outcome out;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_false(command_outcome_parse(lines[i], &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_says_what_it_says),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(any_command_survives_the_round_trip),
        cmocka_unit_test(the_most_robots_fit),
        cmocka_unit_test(a_command_has_its_time),
        cmocka_unit_test(outcomes_survive_the_round_trip),
        cmocka_unit_test(other_lines_are_no_outcomes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
