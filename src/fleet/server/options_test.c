#include "fleet/server/options.h"

#include "base/mem.h"
#include "base/testing.h"
#include "sys/file.h"

#include <string.h>
#include <unistd.h>

static void test_addresses(void **state)
{
    static const struct {
        const char *text, *host;
        int port; /* -1: refused */
        bool loopback;
    } cases[] = {
        {"127.0.0.1:8443", "127.0.0.1", 8443, true},
        {"127.9.9.9:0", "127.9.9.9", 0, true},
        {"[::1]:80", "::1", 80, true},
        {"0.0.0.0:80", "0.0.0.0", 80, false},
        {"[::]:80", "::", 80, false},
        {"10.0.0.1:80", "10.0.0.1", 80, false},
        {"localhost:80", "localhost", 80, false},
        {"127.0.0.1:65536", NULL, -1, false},
        {"127.0.0.1", NULL, -1, false},
        {":80", NULL, -1, false},
        {"127.0.0.1:", NULL, -1, false},
        {"127.0.0.1:-1", NULL, -1, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct listen_address address;
        int rc = listen_address_parse(cases[i].text, &address, &err);
        assert_int_equal(rc, cases[i].port < 0 ? -1 : 0);
        if (rc < 0)
            continue;
        assert_string_equal(address.host, cases[i].host);
        assert_int_equal(address.port, cases[i].port);
        assert_int_equal(listen_address_is_loopback(&address), cases[i].loopback);
    }
}

static int parse(const char *const *words, struct server_options *out, struct err *err)
{
    int count = 0;
    while (words[count])
        count++;
    return server_options_parse(count, (char **)(uintptr_t)words, out, err);
}

static void test_flags_win_over_the_file(void **state)
{
    char path[] = "/tmp/muster-options-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "dir: /from/file\nroot: /k.json\nrobot_listen: 0.0.0.0:1\nmax_blob_mib: 64\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    const char *const argv[] = {"serve", "--dir", "/from/flag", "--config", path, NULL};
    struct server_options options;
    struct err err = {0};
    assert_ok(parse(argv, &options, &err), err);
    assert_string_equal(options.dir, "/from/flag");
    assert_string_equal(options.root, "/k.json");
    assert_string_equal(options.robot_listen, "0.0.0.0:1");
    assert_string_equal(options.operator_listen, "127.0.0.1:8444");
    assert_string_equal(options.max_blob_mib, "64");
    unlink(path);
}

static void test_mistakes_are_named(void **state)
{
    struct server_options options;
    struct err err = {0};
    const char *const unknown[] = {"serve", "--dri", "/x", NULL}, *const value[] = {"serve", "--dir", NULL};
    const char *const rest[] = {"serve", "--dir", "/x", "more", NULL}, *const nothing[] = {"serve", NULL};
    assert_fails(parse(unknown, &options, &err), err, ERR_USAGE);
    assert_non_null(strstr(err.text, "--dri"));
    assert_fails(parse(value, &options, &err), err, ERR_USAGE);
    assert_fails(parse(rest, &options, &err), err, ERR_USAGE);
    assert_non_null(strstr(err.text, "more"));
    assert_fails(parse(nothing, &options, &err), err, ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_flags_win_over_the_file),
        cmocka_unit_test(test_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
