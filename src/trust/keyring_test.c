#include "base/hex.h"
#include "base/testing.h"
#include "sys/file.h"
#include "trust/keyring.h"

static struct public_key numbered_key(int number)
{
    uint8_t raw[32] = {(uint8_t)number};
    struct public_key key;
    public_key_from_raw(raw, &key);
    return key;
}

static struct keyring sample(int count)
{
    struct keyring ring = {0};
    struct err err = {0};
    for (int i = 0; i < count; i++) {
        struct public_key key = numbered_key(i);
        char name[16];
        snprintf(name, sizeof name, "key-%d", i);
        assert_ok(keyring_add(&ring, &key, name, &err), err);
    }
    return ring;
}

static void format_and_parse_are_inverse(void **state)
{
    for (int count = 1; count <= 32; count++) {
        struct err err = {0};
        struct keyring ring = sample(count), again = {0};
        assert_ok(keyring_revoke(&ring, "key-0", &err), err);
        cleanup_free char *text = keyring_format(&ring);
        assert_ok(keyring_parse(text, strlen(text), &again, &err), err);
        assert_memory_equal(&ring, &again, sizeof ring);
        cleanup_free char *second = keyring_format(&again);
        assert_string_equal(text, second);
    }
}

static void a_file_brings_back_the_same_ring(void **state)
{
    struct err err = {0};
    char path[] = "/tmp/muster-keyring-XXXXXX";
    cleanup_close int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct keyring ring = sample(3), again = {0};
    assert_ok(keyring_save(&ring, path, &err), err);
    assert_ok(keyring_load(path, &again, &err), err);
    assert_memory_equal(&ring, &again, sizeof ring);
    assert_ok(file_replace(path, "{}", 2, 0600, &err), err);
    assert_fails(keyring_load(path, &again, &err), err, ERR_INVALID);
    assert_non_null(strstr(err.text, path));
    assert_memory_equal(&ring, &again, sizeof ring);
    unlink(path);
    assert_fails(keyring_load(path, &again, &err), err, ERR_NOT_FOUND);
}

static void names_and_keys_are_unique_and_the_ring_is_finite(void **state)
{
    struct err err = {0};
    struct keyring ring = sample(2);
    struct public_key old = numbered_key(0), fresh = numbered_key(9);
    assert_fails(keyring_add(&ring, &old, "other", &err), err, ERR_EXISTS);
    assert_fails(keyring_add(&ring, &fresh, "key-1", &err), err, ERR_EXISTS);
    assert_fails(keyring_add(&ring, &fresh, "a\"b", &err), err, ERR_INVALID);
    assert_fails(keyring_add(&ring, &fresh, "", &err), err, ERR_INVALID);
    assert_int_equal(ring.count, 2);
    struct keyring full = sample(32);
    struct public_key one_more = numbered_key(100);
    assert_fails(keyring_add(&full, &one_more, "more", &err), err, ERR_TOO_BIG);
}

static void revoking_takes_a_name_or_an_id(void **state)
{
    struct err err = {0};
    struct keyring ring = sample(3);
    assert_ok(keyring_revoke(&ring, "key-1", &err), err);
    assert_ok(keyring_revoke(&ring, numbered_key(2).id, &err), err);
    assert_false(ring.entries[0].revoked);
    assert_true(ring.entries[1].revoked && ring.entries[2].revoked);
    assert_fails(keyring_revoke(&ring, "nobody", &err), err, ERR_NOT_FOUND);
}

/* Each case changes one thing of a sound ring. */
static void damaged_rings_are_refused(void **state)
{
    static const struct {
        const char *from, *to;
    } changes[] = {
        {"\"schema\": 1", "\"schema\": 2"},
        {"\"schema\": 1", "\"schema\": \"1\""},
        {"\"schema\": 1", "\"schema\": 1, \"threshold\": 1"},
        {"\"keys\"", "\"kyes\""},
        {"ed25519", "rsa"},
        {"\"keyid\": \"", "\"keyid\": \"0"},
        {"\"public\": \"00", "\"public\": \"01"},
        {"\"public\": \"00", "\"public\": \"0"},
        {"\"public\": \"00", "\"public\": \"zz"},
        {"key-0", "../x"},
        {"key-0", ""},
        {"\"revoked\": false", "\"revoked\": null"},
        {", \"revoked\": false", ""},
        {"{\"keyid\"", "7, {\"keyid\""},
        {"]}", "]"},
        {"]}", "]} x"},
    };
    struct keyring ring = sample(1);
    cleanup_free char *text = keyring_format(&ring);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct err err = {0};
        const char *at = strstr(text, changes[i].from);
        assert_non_null(at);
        cleanup_free char *bad =
            mem_printf("%.*s%s%s", (int)(at - text), text, changes[i].to, at + strlen(changes[i].from));
        struct keyring out = {0}, untouched = {0};
        assert_fails(keyring_parse(bad, strlen(bad), &out, &err), err, ERR_INVALID);
        assert_memory_equal(&out, &untouched, sizeof out);
    }
}

static void the_same_key_twice_is_refused(void **state)
{
    struct err err = {0};
    struct keyring ring = sample(1), out;
    ring.entries[1] = ring.entries[0];
    ring.count = 2;
    cleanup_free char *text = keyring_format(&ring);
    assert_fails(keyring_parse(text, strlen(text), &out, &err), err, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_and_parse_are_inverse),
        cmocka_unit_test(a_file_brings_back_the_same_ring),
        cmocka_unit_test(names_and_keys_are_unique_and_the_ring_is_finite),
        cmocka_unit_test(revoking_takes_a_name_or_an_id),
        cmocka_unit_test(damaged_rings_are_refused),
        cmocka_unit_test(the_same_key_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
