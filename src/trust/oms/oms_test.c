#include "base/testing.h"

#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/oms/inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA MUSTER_SOURCE_DIR "/tests/data/oms/"

#define BY(the_key) (&(struct oms_believed){.key = (the_key)})

static char dir[64];

static const char *in_dir(const char *name) /* four at a time */
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    struct err err = {0};
    const char *path = in_dir(name);
    cleanup_free char *folder = mem_strdup(path);
    *strrchr(folder, '/') = '\0';
    assert_ok(file_make_dirs(folder, 0755, &err), err);
    assert_ok(file_replace(path, text, strlen(text), 0644, &err), err);
}

static int make_model(void **state)
{
    str_copy(dir, sizeof dir, "/tmp/muster-oms-XXXXXX");
    assert_non_null(mkdtemp(dir));
    write_file("model/weights.bin", "weights");
    write_file("model/config.json", "{}");
    write_file("model/sub/part", "part");
    write_file("model/sub-a", "a");
    write_file("model/.git/HEAD", "x");
    write_file("model/.gitignore", "x");
    write_file("model/sub/.gitignore", "is signed");
    write_file("model/.cache/x", "is signed");
    return 0;
}

static int remove_model(void **state)
{
    struct err err = {0};
    assert_ok(file_remove_tree(dir, &err), err);
    return 0;
}

static struct oms_key *new_key(void)
{
    struct err err = {0};
    struct oms_key *key = NULL;
    assert_ok(oms_key_generate(&key, &err), err);
    return key;
}

static void sign_model(const struct oms_key *key, const char *const *ignore, size_t count)
{
    struct err err = {0};
    char *text = NULL;
    assert_ok(oms_sign_model(in_dir("model"), in_dir("model/model.sig"), ignore, count, key, &text, &err),
              err);
    write_file("model/model.sig", text);
    free(text);
}

static int verify(const struct oms_key *key, bool unsigned_too, struct err *err)
{
    cleanup_oms_statement struct oms_statement statement = {0};
    *err = (struct err){0};
    return oms_verify_model(in_dir("model"), in_dir("model/model.sig"), BY(key), unsigned_too, &statement,
                            NULL, err);
}

static void check_refused(const struct oms_key *key, bool unsigned_too, const char *reason)
{
    struct err err;
    assert_fails(verify(key, unsigned_too, &err), err, ERR_UNTRUSTED);
    if (!strstr(err.text, reason))
        fail_msg("'%s' does not say '%s'", err.text, reason);
}

/* ---- ours ---- */

static void what_we_sign_we_verify(void **state)
{
    struct err err = {0};
    cleanup_oms_key struct oms_key *key = new_key(), *other = new_key();
    cleanup_oms_statement struct oms_statement statement = {0};
    sign_model(key, NULL, 0);
    assert_ok(
        oms_verify_model(in_dir("model"), in_dir("model/model.sig"), BY(key), false, &statement, NULL, &err),
        err);
    assert_string_equal(statement.subject, "model");
    static const char *const names[] = {".cache/x",       "config.json", "sub-a",
                                        "sub/.gitignore", "sub/part",    "weights.bin"};
    assert_int_equal(statement.count, ARRAY_LEN(names));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_string_equal(statement.resources[i].name, names[i]);
    check_refused(other, false, "another key");
}

static void our_bundle_is_the_same_bytes_after_a_round_trip(void **state)
{
    struct err err = {0};
    cleanup_oms_key struct oms_key *key = new_key();
    cleanup_buf struct buf text = BUF_INIT(OMS_MAX_BYTES);
    cleanup_oms_bundle struct oms_bundle bundle = {0};
    cleanup_oms_statement struct oms_statement statement = {0}, raw = {0};
    sign_model(key, NULL, 0);
    assert_ok(file_read(in_dir("model/model.sig"), &text, &err), err);
    assert_ok(oms_bundle_parse(text.data, text.len, &bundle, &err), err);
    cleanup_free char *again = oms_bundle_format(&bundle);
    assert_string_equal(again, buf_text(&text));
    assert_ok(oms_statement_parse(bundle.payload, bundle.payload_len, &raw, &err), err);
    cleanup_free char *payload = oms_statement_format(&raw);
    assert_int_equal(strlen(payload), bundle.payload_len);
    assert_memory_equal(payload, bundle.payload, bundle.payload_len);
    assert_ok(oms_open(again, strlen(again), BY(key), &statement, NULL, &err), err);
}

static void every_change_of_the_model_is_found(void **state)
{
    struct err err;
    cleanup_oms_key struct oms_key *key = new_key();
    sign_model(key, NULL, 0);
    write_file("model/sub/part", "pasT");
    check_refused(key, false, "sub/part was changed");
    check_refused(key, true, "sub/part was changed");
    assert_int_equal(unlink(in_dir("model/sub/part")), 0);
    check_refused(key, false, "sub/part is signed, but it is not there");
    check_refused(key, true, "sub/part is signed, but it is not there");
    write_file("model/sub/part", "part");
    write_file("model/sub/.git/HEAD", "only at the top");
    check_refused(key, false, "sub/.git/HEAD is there, but it is not signed");
    assert_ok(verify(key, true, &err), err);
    assert_ok(file_remove_tree(in_dir("model/sub/.git"), &err), err);
    write_file("model/.git/more", "x");
    assert_ok(verify(key, false, &err), err);
}

static void ignored_paths_are_whole_and_from_the_top(void **state)
{
    struct err err;
    static const char *const ignore[] = {"cache", "sub/part"};
    cleanup_oms_key struct oms_key *key = new_key();
    sign_model(key, ignore, ARRAY_LEN(ignore));
    write_file("model/cache/a/b", "ignored");
    write_file("model/sub/part", "ignored, too");
    assert_ok(verify(key, false, &err), err);
    write_file("model/sub/cache", "not ignored");
    check_refused(key, false, "sub/cache is there, but it is not signed");
    assert_int_equal(unlink(in_dir("model/sub/cache")), 0);
    write_file("model/cached", "not ignored");
    check_refused(key, false, "cached is there, but it is not signed");
    assert_int_equal(unlink(in_dir("model/cached")), 0);
}

static void links_and_special_files_are_refused(void **state)
{
    struct err err;
    cleanup_oms_key struct oms_key *key = new_key();
    sign_model(key, NULL, 0);
    assert_int_equal(symlink("weights.bin", in_dir("model/link")), 0);
    assert_fails(verify(key, false, &err), err, ERR_REFUSED);
    assert_int_equal(unlink(in_dir("model/link")), 0);
    assert_int_equal(symlink(".", in_dir("model/loop")), 0);
    assert_fails(verify(key, true, &err), err, ERR_REFUSED);
    assert_int_equal(unlink(in_dir("model/loop")), 0);
    assert_int_equal(mkfifo(in_dir("model/pipe"), 0600), 0);
    assert_fails(verify(key, false, &err), err, ERR_REFUSED);
    assert_int_equal(unlink(in_dir("model/pipe")), 0);
}

static void an_empty_model_is_refused(void **state)
{
    struct err err = {0};
    char *text = NULL;
    cleanup_oms_key struct oms_key *key = new_key();
    assert_ok(file_make_dirs(in_dir("empty"), 0755, &err), err);
    assert_fails(oms_sign_model(in_dir("empty"), NULL, NULL, 0, key, &text, &err), err, ERR_INVALID);
}

static void a_model_may_be_one_file(void **state)
{
    struct err err = {0};
    char *text = NULL;
    cleanup_oms_key struct oms_key *key = new_key();
    cleanup_oms_statement struct oms_statement statement = {0};
    assert_ok(oms_sign_model(in_dir("model/weights.bin"), in_dir("w.sig"), NULL, 0, key, &text, &err), err);
    write_file("w.sig", text);
    free(text);
    assert_ok(oms_verify_model(in_dir("model/weights.bin"), in_dir("w.sig"), BY(key), false, &statement, NULL,
                               &err),
              err);
    assert_string_equal(statement.resources[0].name, "weights.bin");
    assert_ok(oms_verify_file(in_dir("model/weights.bin"), in_dir("w.sig"), BY(key), &err), err);
    assert_fails(oms_verify_file(in_dir("model/sub-a"), in_dir("w.sig"), BY(key), &err), err, ERR_UNTRUSTED);
}

static void one_file_of_a_model_can_be_taken_in(void **state)
{
    struct err err = {0};
    cleanup_oms_key struct oms_key *key = new_key();
    sign_model(key, NULL, 0);
    assert_ok(oms_verify_file(in_dir("model/sub/part"), in_dir("model/model.sig"), BY(key), &err), err);
    write_file("model/later", "x"); /* other files do not matter then */
    assert_ok(oms_verify_file(in_dir("model/weights.bin"), in_dir("model/model.sig"), BY(key), &err), err);
    assert_fails(oms_verify_file(in_dir("model/later"), in_dir("model/model.sig"), BY(key), &err), err,
                 ERR_UNTRUSTED);
    write_file("model/weights.bin", "w");
    assert_fails(oms_verify_file(in_dir("model/weights.bin"), in_dir("model/model.sig"), BY(key), &err), err,
                 ERR_UNTRUSTED);
}

static void keys_are_kept_as_keys_are(void **state)
{
    struct err err = {0};
    cleanup_oms_key struct oms_key *key = new_key(), *secret = NULL, *open = NULL, *none = NULL;
    assert_ok(oms_key_save(key, in_dir("k.key"), in_dir("k.pub"), &err), err);
    assert_fails(oms_key_save(key, in_dir("k.key"), in_dir("other.pub"), &err), err, ERR_EXISTS);
    assert_fails(oms_key_save(key, in_dir("other.key"), in_dir("k.pub"), &err), err, ERR_EXISTS);
    assert_ok(oms_key_load(in_dir("k.key"), &secret, &err), err);
    assert_ok(oms_public_load(in_dir("k.pub"), &open, &err), err);
    assert_string_equal(oms_key_hint(secret), oms_key_hint(open));
    assert_string_equal(oms_key_curve(open), "P-256");
    assert_int_equal(chmod(in_dir("k.key"), 0640), 0);
    assert_fails(oms_key_load(in_dir("k.key"), &none, &err), err, ERR_REFUSED);
    assert_fails(oms_public_load(in_dir("k.key"), &none, &err), err, ERR_INVALID);
    struct oms_statement statement = {0};
    struct digest digest = {{1}};
    char *text = NULL;
    assert_ok(oms_statement_add(&statement, "a", &digest, &err), err);
    assert_fails(oms_sign(&statement, open, &text, &err), err, ERR_INVALID);
    oms_statement_fini(&statement);
}

/* ---- the reference implementation's (tests/data/oms/README.md) ---- */

static int verify_data(const char *model, const char *signature, const char *public, bool unsigned_too,
                       struct err *err)
{
    cleanup_oms_key struct oms_key *key = NULL;
    cleanup_oms_statement struct oms_statement statement = {0};
    *err = (struct err){0};
    if (oms_public_load(public, &key, err) < 0)
        return -1;
    return oms_verify_model(model, signature, BY(key), unsigned_too, &statement, NULL, err);
}

static void signatures_of_the_reference_tool_verify(void **state)
{
    static const char *const cases[][3] = {
        {"model", "p256.sig", "p256.pub"},
        {"model", "p384.sig", "p384.pub"},
        {"model", "p521.sig", "p521.pub"},
        {"model", "p256.older.sig", "p256.pub"},
        {"model/weights.bin", "file.p256.sig", "p256.pub"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        char model[256], signature[256], public[256];
        snprintf(model, sizeof model, DATA "%s", cases[i][0]);
        snprintf(signature, sizeof signature, DATA "%s", cases[i][1]);
        snprintf(public, sizeof public, DATA "%s", cases[i][2]);
        if (verify_data(model, signature, public, false, &err) < 0)
            fail_msg("%s: %s", cases[i][1], err.text);
    }
}

static void the_wrong_key_or_model_fails(void **state)
{
    struct err err;
    assert_fails(verify_data(DATA "model", DATA "p256.sig", DATA "p384.pub", false, &err), err,
                 ERR_UNTRUSTED);
    assert_fails(verify_data(DATA "model", DATA "p256.older.sig", DATA "p521.pub", false, &err), err,
                 ERR_UNTRUSTED);
    assert_fails(verify_data(DATA "model/sub", DATA "p256.sig", DATA "p256.pub", true, &err), err,
                 ERR_UNTRUSTED);
    assert_fails(verify_data(DATA "model/config.json", DATA "file.p256.sig", DATA "p256.pub", false, &err),
                 err, ERR_UNTRUSTED);
}

/* A bundle over any text at all, well signed: what it says has to be right besides. */
static char *sign_text(const struct oms_key *key, const char *payload)
{
    struct err err = {0};
    struct oms_bundle bundle = {.payload = (uint8_t *)(uintptr_t)payload, .payload_len = strlen(payload)};
    cleanup_buf struct buf pae = BUF_INIT(1 << 20);
    assert_ok(oms_pae(&bundle, &pae, &err), err);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bundle.sig_len = sizeof bundle.sig;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, key->digest, NULL, key->pkey), 1);
    assert_int_equal(EVP_DigestSign(ctx, bundle.sig, &bundle.sig_len, pae.data, pae.len), 1);
    EVP_MD_CTX_free(ctx);
    str_copy(bundle.hint, sizeof bundle.hint, oms_key_hint(key));
    char *text = oms_bundle_format(&bundle);
    assert_non_null(text);
    return text;
}

static char *with_change(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    return mem_printf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void a_good_signature_of_a_wrong_statement_fails(void **state)
{
    static const char *const changes[][2] = {
        {"in-toto.io/Statement/v1", "in-toto.io/Statement/v2"},
        {"model_signing/signature/v1.0", "model_signing/signature/v1.1"},
        {"\"subject\"", "\"sUbject\""},
        {"\"resources\"", "\"rEsources\""},
        {"\"serialization\"", "\"sErialization\""},
        {"\"files\"", "\"parts\""},
        {"\"hash_type\":\"sha256\"", "\"hash_type\":\"blake3\""},
        {"\"sub-a\"", "\"../sa\""},
    };
    struct err err = {0};
    cleanup_oms_key struct oms_key *key = new_key();
    struct oms_statement statement = {.subject = mem_strdup("m")}, back;
    struct digest digest = {{1}};
    assert_ok(oms_statement_add(&statement, "sub-a", &digest, &err), err);
    statement.root = oms_root(&statement);
    cleanup_free char *good = oms_statement_format(&statement);
    cleanup_free char *text = sign_text(key, good);
    assert_ok(oms_open(text, strlen(text), BY(key), &back, NULL, &err), err);
    oms_statement_fini(&back);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        cleanup_free char *payload = with_change(good, changes[i][0], changes[i][1]);
        cleanup_free char *bundle = sign_text(key, payload);
        err = (struct err){0};
        if (oms_open(bundle, strlen(bundle), BY(key), &back, NULL, &err) == 0 ||
            (err.code != ERR_INVALID && err.code != ERR_UNSUPPORTED))
            fail_msg("%s: %s", changes[i][1], err.text);
    }
    statement.root.bytes[0] ^= 1;
    cleanup_free char *payload = oms_statement_format(&statement);
    cleanup_free char *bundle = sign_text(key, payload);
    assert_fails(oms_open(bundle, strlen(bundle), BY(key), &back, NULL, &err), err, ERR_INVALID);
    oms_statement_fini(&statement);
}

/* Within the text of "payload" or "sig". */
static bool is_base64_value(const struct buf *text, size_t at)
{
    static const char *const keys[] = {"\"payload\":\"", "\"sig\":\""};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *begin = strstr(buf_text(text), keys[i]);
        assert_non_null(begin);
        begin += strlen(keys[i]);
        size_t first = (size_t)(begin - buf_text(text));
        if (at >= first && at < first + strcspn(begin, "\""))
            return true;
    }
    return false;
}

static void every_changed_byte_of_payload_or_signature_fails(void **state)
{
    struct err err = {0};
    cleanup_oms_key struct oms_key *key = NULL;
    cleanup_buf struct buf text = BUF_INIT(OMS_MAX_BYTES);
    struct oms_statement statement;
    assert_ok(oms_public_load(DATA "p256.pub", &key, &err), err);
    assert_ok(file_read(DATA "p256.sig", &text, &err), err);
    size_t checked = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_base64_value(&text, i))
            continue;
        uint8_t old = text.data[i];
        text.data[i] = old == 'A' ? 'B' : 'A';
        if (oms_open(text.data, text.len, BY(key), &statement, NULL, &err) == 0)
            fail_msg("byte %zu", i);
        text.data[i] = old;
        checked++;
    }
    assert_true(checked > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_we_sign_we_verify, make_model, remove_model),
        cmocka_unit_test_setup_teardown(our_bundle_is_the_same_bytes_after_a_round_trip, make_model,
                                        remove_model),
        cmocka_unit_test_setup_teardown(every_change_of_the_model_is_found, make_model, remove_model),
        cmocka_unit_test_setup_teardown(ignored_paths_are_whole_and_from_the_top, make_model, remove_model),
        cmocka_unit_test_setup_teardown(links_and_special_files_are_refused, make_model, remove_model),
        cmocka_unit_test_setup_teardown(an_empty_model_is_refused, make_model, remove_model),
        cmocka_unit_test_setup_teardown(a_model_may_be_one_file, make_model, remove_model),
        cmocka_unit_test_setup_teardown(one_file_of_a_model_can_be_taken_in, make_model, remove_model),
        cmocka_unit_test_setup_teardown(keys_are_kept_as_keys_are, make_model, remove_model),
        cmocka_unit_test(signatures_of_the_reference_tool_verify),
        cmocka_unit_test(the_wrong_key_or_model_fails),
        cmocka_unit_test(a_good_signature_of_a_wrong_statement_fails),
        cmocka_unit_test(every_changed_byte_of_payload_or_signature_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
