#include "trust/repo/online.h"

#include "base/buf.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"

#include <string.h>
#include <sys/stat.h>

static int setup(void **state)
{
    char *dir = mem_strdup("/tmp/muster-online-XXXXXX");
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    struct err err = {0};
    assert_ok(file_remove_tree(*state, &err), err);
    free(*state);
    return 0;
}

static void load_public(const char *dir, struct online_public *out)
{
    struct err err = {0};
    cleanup_free char *path = file_join(dir, "online.json");
    assert_ok(online_public_load(path, out, &err), err);
}

static void the_public_halves_are_those_of_the_keys(void **state)
{
    struct err err = {0};
    cleanup_online struct online *online = NULL;
    cleanup_online_public struct online_public keys = {0};
    assert_ok(online_make(*state, &err), err);
    assert_ok(online_load(*state, &online, &err), err);
    load_public(*state, &keys);
    for (int i = 0; i < ONLINE_ROLES; i++) {
        const struct tuf_key *public = tuf_signer_public(online_signer(online, (enum online_role)i));
        assert_string_equal(public->id, keys.keys[i].id);
        struct tuf_signature signature;
        assert_ok(tuf_signer_sign(online_signer(online, (enum online_role)i), "text", 4, &signature, &err),
                  err);
        for (int j = 0; j < ONLINE_ROLES; j++)
            assert_int_equal(tuf_key_verify(&keys.keys[j], "text", 4, signature.sig, signature.len), i == j);
        free(signature.keyid);
        free(signature.sig);
    }
}

static void only_the_owner_may_read_a_key(void **state)
{
    struct err err = {0};
    struct stat st;
    cleanup_online struct online *online = NULL;
    cleanup_free char *path = mem_printf("%s/online/director.key", (const char *)*state);
    assert_ok(online_make(*state, &err), err);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(chmod(path, 0640), 0);
    assert_fails(online_load(*state, &online, &err), err, ERR_REFUSED);
}

static void keys_are_kept_and_missing_ones_made(void **state)
{
    struct err err = {0};
    cleanup_online_public struct online_public before = {0}, after = {0};
    cleanup_online struct online *online = NULL;
    cleanup_free char *path = mem_printf("%s/online/audit.key", (const char *)*state);
    assert_ok(online_make(*state, &err), err);
    load_public(*state, &before);
    assert_int_equal(unlink(path), 0);
    assert_fails(online_load(*state, &online, &err), err, ERR_NOT_FOUND);
    assert_ok(online_make(*state, &err), err);
    load_public(*state, &after);
    for (int i = 0; i < ONLINE_ROLES; i++)
        assert_int_equal(str_eq(before.keys[i].id, after.keys[i].id), i != ONLINE_AUDIT);
}

static const char good[] =
    "{\"schema\":1,"
    "\"timestamp\":{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":"
    "\"1111111111111111111111111111111111111111111111111111111111111111\"}},"
    "\"snapshot\":{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":"
    "\"2222222222222222222222222222222222222222222222222222222222222222\"}},"
    "\"director\":{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":"
    "\"3333333333333333333333333333333333333333333333333333333333333333\"}},"
    "\"audit\":{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":"
    "\"4444444444444444444444444444444444444444444444444444444444444444\"}}}";

/* `good` with the first `from` replaced. */
static char *changed(const char *from, const char *to)
{
    const char *at = strstr(good, from);
    assert_non_null(at);
    return mem_printf("%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
}

static void what_is_written_reads_back(void **state)
{
    struct err err = {0};
    cleanup_online_public struct online_public keys = {0}, again = {0};
    assert_ok(online_public_parse(good, strlen(good), &keys, &err), err);
    cleanup_free char *text = online_public_format(&keys);
    assert_ok(online_public_parse(text, strlen(text), &again, &err), err);
    for (int i = 0; i < ONLINE_ROLES; i++) {
        assert_string_equal(keys.keys[i].public_text, again.keys[i].public_text);
        assert_string_equal(keys.keys[i].id, again.keys[i].id);
    }
}

static void anything_else_is_refused(void **state)
{
    static const struct {
        const char *from, *to;
    } changes[] = {
        {"\"schema\":1", "\"schema\":2"},
        {"\"schema\":1,", "\"schema\":1,\"more\":1,"},
        {"\"keytype\":\"ed25519\"", "\"keytype\":\"rsa\""},
        {"\"scheme\":\"ed25519\"", "\"scheme\":\"ecdsa-sha2-nistp256\""},
        {"\"keytype\":\"ed25519\",", ""},
        {"{\"public\":", "{\"private\":\"x\",\"public\":"},
        {"1111111111", "111111111"},
        {"1111111111", "111111111g"},
        {"1111111111", "111111111A"},
        {"\"audit\"", "\"auditor\""},
        {"2222222222222222222222222222222222222222222222222222222222222222",
         "1111111111111111111111111111111111111111111111111111111111111111"},
    };
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct err err = {0};
        struct online_public keys;
        cleanup_free char *text = changed(changes[i].from, changes[i].to);
        assert_fails(online_public_parse(text, strlen(text), &keys, &err), err, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_public_halves_are_those_of_the_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_owner_may_read_a_key, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_kept_and_missing_ones_made, setup, teardown),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
