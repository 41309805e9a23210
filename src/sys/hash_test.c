#include "base/testing.h"
#include "sys/hash.h"

#include <fcntl.h>

static void known_answers(void **state)
{
    static const struct {
        const char *text, *digest;
    } cases[] = {/* FIPS 180-4 examples */
                 {"", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                 {"abc", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct digest digest = hash_bytes(cases[i].text, strlen(cases[i].text));
        assert_string_equal(digest_format(&digest).text, cases[i].digest);
    }
}

static void any_split_gives_the_same_digest_and_finish_starts_anew(void **state)
{
    uint8_t data[1000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    struct digest whole = hash_bytes(data, sizeof data);
    cleanup_hash struct hash *hash = hash_new();
    for (size_t step = 1; step < sizeof data; step = step * 2 + 1) {
        for (size_t at = 0; at < sizeof data; at += step)
            hash_update(hash, data + at, MIN(step, sizeof data - at));
        struct digest parts = hash_finish(hash);
        assert_true(digest_equal(&whole, &parts));
    }
}

static void a_file_has_the_digest_of_its_bytes(void **state)
{
    char path[] = "/tmp/muster-hash-XXXXXX";
    cleanup_close int fd = mkostemp(path, O_CLOEXEC);
    cleanup_free char *data = mem_zalloc(200000, 1);
    assert_int_equal(write(fd, data, 200000), 200000);
    struct err err = {0};
    struct digest digest, want = hash_bytes(data, 200000);
    uint64_t size = 0;
    assert_ok(hash_file(path, &digest, &size, &err), err);
    assert_true(digest_equal(&digest, &want));
    assert_int_equal(size, 200000);
    unlink(path);
    assert_fails(hash_file(path, &digest, &size, &err), err, ERR_NOT_FOUND);
    assert_fails(hash_file("/tmp", &digest, &size, &err), err, ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(any_split_gives_the_same_digest_and_finish_starts_anew),
        cmocka_unit_test(a_file_has_the_digest_of_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
