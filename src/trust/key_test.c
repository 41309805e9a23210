#include "base/hex.h"
#include "base/testing.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "trust/key.h"

#include <sys/stat.h>

static char dir[64];

static int make_test_dir(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/muster-key-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_test_dir(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

static void rfc8032_test_2_verifies(void **state)
{
    static const char public_hex[] = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    static const char sig_hex[] = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                  "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    uint8_t raw[32], sig[64];
    assert_true(hex_decode(public_hex, 64, raw) && hex_decode(sig_hex, 128, sig));
    struct public_key key;
    public_key_from_raw(raw, &key);
    assert_true(public_key_verify(&key, "\x72", 1, sig));
    assert_false(public_key_verify(&key, "\x73", 1, sig));
}

static void any_flipped_bit_is_noticed(void **state)
{
    struct err err = {0};
    cleanup_signing_key struct signing_key *key = NULL;
    uint8_t message[40] = "what is signed", sig[64];
    struct public_key public_key;
    assert_ok(signing_key_generate(&key, &err), err);
    signing_key_public(key, &public_key);
    assert_ok(signing_key_sign(key, message, sizeof message, sig, &err), err);
    assert_true(public_key_verify(&public_key, message, sizeof message, sig));
    for (size_t bit = 0; bit < 8 * sizeof message; bit += 7) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(public_key_verify(&public_key, message, sizeof message, sig));
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof sig; bit += 7) {
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(public_key_verify(&public_key, message, sizeof message, sig));
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(public_key_verify(&public_key, message, sizeof message, sig));
}

static void keys_survive_a_file_and_are_never_overwritten(void **state)
{
    struct err err = {0};
    cleanup_signing_key struct signing_key *key = NULL;
    cleanup_signing_key struct signing_key *again = NULL;
    cleanup_free char *path = file_join(dir, "release.key");
    cleanup_free char *public_path = file_join(dir, "release.pub");
    struct public_key a, b, c;
    assert_ok(signing_key_generate(&key, &err), err);
    assert_ok(signing_key_save(key, path, &err), err);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_fails(signing_key_save(key, path, &err), err, ERR_EXISTS);
    assert_ok(signing_key_load(path, &again, &err), err);
    signing_key_public(key, &a);
    signing_key_public(again, &b);
    assert_ok(public_key_save(&a, public_path, &err), err);
    assert_ok(public_key_load(public_path, &c, &err), err);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_equal(&a, &c, sizeof a);
    struct signing_key *wrong = NULL;
    assert_fails(signing_key_load(public_path, &wrong, &err), err, ERR_INVALID);
    assert_fails(public_key_load(path, &c, &err), err, ERR_INVALID);
}

static void a_private_key_that_others_may_use_is_refused(void **state)
{
    static const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0601, 0644, 0666};
    struct err err = {0};
    cleanup_signing_key struct signing_key *key = NULL;
    cleanup_signing_key struct signing_key *again = NULL;
    cleanup_free char *path = file_join(dir, "open.key");
    assert_ok(signing_key_generate(&key, &err), err);
    assert_ok(signing_key_save(key, path, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
        assert_int_equal(chmod(path, open_modes[i]), 0);
        assert_fails(signing_key_load(path, &again, &err), err, ERR_REFUSED);
        assert_null(again);
        assert_non_null(strstr(err.text, path));
        assert_non_null(strstr(err.text, "chmod 600"));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_ok(signing_key_load(path, &again, &err), err);
}

/* Made by the openssl program: another kind of key, and one with a passphrase (which must not ask the
 * terminal). */
static void foreign_keys_are_refused_with_the_path(void **state)
{
    static const char *const kinds[][8] = {
        {"openssl", "genpkey", "-algorithm", "X25519", "-out"},
        {"openssl", "genpkey", "-algorithm", "ED25519", "-aes128", "-pass", "pass:x", "-out"},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct err err = {0};
        struct signing_key *key = NULL;
        cleanup_free char *path = mem_printf("%s/foreign%zu", dir, i);
        const char *argv[10] = {NULL};
        size_t argc = 0;
        for (; argc < 8 && kinds[i][argc]; argc++)
            argv[argc] = kinds[i][argc];
        argv[argc] = path;
        int status = -1;
        if (proc_run(argv, 20000, NULL, &status, &err) < 0)
            skip(); /* no openssl program on this machine */
        assert_int_equal(status, 0);
        assert_fails(signing_key_load(path, &key, &err), err, ERR_INVALID);
        assert_non_null(strstr(err.text, path));
    }
}

static void damaged_files_are_refused(void **state)
{
    static const char *const texts[] = {"", "hello", "-----BEGIN PRIVATE KEY-----\n",
                                        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"};
    cleanup_free char *path = file_join(dir, "damaged");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err err = {0};
        struct signing_key *key = NULL;
        struct public_key public_key;
        assert_ok(file_replace(path, texts[i], strlen(texts[i]), 0600, &err), err);
        assert_fails(signing_key_load(path, &key, &err), err, ERR_INVALID);
        assert_fails(public_key_load(path, &public_key, &err), err, ERR_INVALID);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_test_dir, remove_test_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc8032_test_2_verifies),
        cmocka_unit_test(any_flipped_bit_is_noticed),
        TEST(keys_survive_a_file_and_are_never_overwritten),
        TEST(a_private_key_that_others_may_use_is_refused),
        TEST(foreign_keys_are_refused_with_the_path),
        TEST(damaged_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
