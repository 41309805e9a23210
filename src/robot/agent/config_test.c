#include "robot/agent/config.h"

#include "base/mem.h"
#include "base/testing.h"
#include "sys/file.h"

static struct agent_config config;
static struct err err;

static int parse(const char *const *flags)
{
    char *argv[32] = {(char *)(uintptr_t) "muster-agent"};
    int argc = 1;
    for (; flags[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)flags[argc - 1];
    return agent_config_parse(argc, argv, &config, &err);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void flags_win_over_the_file_and_the_rest_has_defaults(void **state)
{
    char path[] = "/tmp/muster-agent-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    const char text[] = "{\"state_dir\": \"/s\", \"run_dir\": \"/r\", \"server\": \"https://h:1/\","
                        " \"root\": \"/k\", \"probation_ms\": 5000, \"alpha\": 0.001, \"no_fallback\": true}";
    assert_ok(file_replace(path, text, strlen(text), 0600, &err), err);
    assert_ok(PARSE("--config", path, "--probation-ms", "7000", "--robot", "r1"), err);
    assert_string_equal(config.state_dir, "/s");
    assert_string_equal(config.server, "https://h:1");
    assert_int_equal(config.probation_ms, 7000);
    assert_int_equal(config.telemetry_ms, 10000);
    assert_true(config.alpha < 0.0011 && config.no_fallback && !config.stop);
    assert_non_null(strstr(config.runner, "/muster-runner"));

    const char typo[] = "{\"state_dirr\": \"/s\"}";
    assert_ok(file_replace(path, typo, strlen(typo), 0600, &err), err);
    assert_fails(PARSE("--config", path), err, ERR_INVALID);
    assert_non_null(strstr(err.text, "state_dirr"));
    unlink(path);
    assert_fails(PARSE("--config", path), err, ERR_NOT_FOUND);
}

static void what_is_wrong_is_named(void **state)
{
    assert_fails(PARSE("--run-dir", "/r"), err, ERR_USAGE);
    assert_non_null(strstr(err.text, "--state-dir"));
    assert_fails(PARSE("--nonsense"), err, ERR_USAGE);
    assert_non_null(strstr(err.text, "--nonsense"));
    assert_fails(PARSE("--run-dir", "/r", "--probation-ms", "ten"), err, ERR_USAGE);
    assert_non_null(strstr(err.text, "probation_ms"));
    assert_fails(PARSE("--run-dir", "/r", "--alpha", "1.5"), err, ERR_USAGE);
    assert_fails(PARSE("--run-dir", "/r", "left-over"), err, ERR_USAGE);
    assert_fails(PARSE("--run-dir", "/r", "--state-dir", "/s", "--server", "https://h", "--root", "/k",
                       "--robot", "a robot"),
                 err, ERR_USAGE);
    assert_fails(PARSE("--run-dir", "/r", "--state-dir", "/s", "--server", "https://h", "--root", "/k",
                       "--robot", "r1", "--floor", "new"),
                 err, ERR_USAGE);
    assert_ok(PARSE("--stop", "--run-dir", "/r"), err);
}

static void without_a_root_there_has_to_be_one_already(void **state)
{
    char dir[] = "/tmp/muster-agent-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    assert_fails(PARSE("--run-dir", "/r", "--state-dir", dir, "--server", "https://h", "--robot", "r1"), err,
                 ERR_USAGE);
    assert_non_null(strstr(err.text, "--root"));
    snprintf(path, sizeof path, "%s/trust", dir);
    assert_ok(file_make_dirs(path, 0700, &err), err);
    snprintf(path, sizeof path, "%s/trust/root.json", dir);
    assert_ok(file_replace(path, "{}", 2, 0600, &err), err);
    assert_ok(PARSE("--run-dir", "/r", "--state-dir", dir, "--server", "https://h", "--robot", "r1"), err);
    assert_ok(file_remove_tree(dir, &err), err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_win_over_the_file_and_the_rest_has_defaults),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(without_a_root_there_has_to_be_one_already),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
