#include "base/testing.h"

#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "trust/seal/seal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static const char *in_dir(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static int make_dir(void **state)
{
    str_copy(dir, sizeof dir, "/tmp/muster-seal-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

/* `size` bytes, none like its neighbours. */
static uint8_t *make_plain(size_t size)
{
    struct err err = {0};
    uint8_t *data = mem_zalloc(size + 1, 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 31 + i / 251);
    assert_ok(file_replace(in_dir("plain"), data, size, 0644, &err), err);
    return data;
}

static void seal(const struct seal_key *key, struct buf *out)
{
    struct err err = {0};
    assert_ok(seal_file(in_dir("plain"), in_dir("sealed"), key, &err), err);
    buf_reset(out);
    assert_ok(file_read(in_dir("sealed"), out, &err), err);
}

static struct seal_key new_key(void)
{
    struct err err = {0};
    struct seal_key key;
    assert_ok(seal_key_make(&key, &err), err);
    return key;
}

static void what_is_sealed_opens_again(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 65535, 65536, 65537, 131072, 200000};
    struct seal_key key = new_key(), other = new_key();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct err err = {0};
        cleanup_free uint8_t *plain = make_plain(sizes[i]);
        cleanup_buf struct buf sealed = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
        cleanup_seal_plain struct seal_plain open = {0}, none = {0};
        seal(&key, &sealed);
        assert_int_equal(sealed.len, sealed_size(sizes[i]));
        assert_ok(seal_open(sealed.data, sealed.len, &key, &open, &err), err);
        assert_int_equal(open.size, sizes[i]);
        assert_memory_equal(open.data, plain, sizes[i]);
        if (sizes[i] > 32)
            assert_null(memmem(sealed.data, sealed.len, plain, 32));
        assert_fails(seal_open(sealed.data, sealed.len, &other, &none, &err), err, ERR_UNTRUSTED);
        assert_null(none.data);
        seal(&key, &again); /* the same key and weights: the same bytes */
        assert_int_equal(again.len, sealed.len);
        assert_memory_equal(again.data, sealed.data, sealed.len);
    }
}

/* Other weights have another salt, so another file key, so other bytes from the first on. */
static void keys_of_files_differ(void **state)
{
    struct seal_key key = new_key();
    cleanup_free uint8_t *plain = make_plain(1000);
    cleanup_buf struct buf first = BUF_INIT(1 << 20), second = BUF_INIT(1 << 20);
    struct err err = {0};
    seal(&key, &first);
    plain[999] ^= 1;
    assert_ok(file_replace(in_dir("plain"), plain, 1000, 0644, &err), err);
    seal(&key, &second);
    size_t same = 0;
    for (size_t i = SEALED_HEAD_BYTES; i < first.len; i++)
        same += first.data[i] == second.data[i];
    assert_true(same < 40); /* a 256th of them, by chance */
}

static void check_corrupt(const struct buf *sealed, size_t len, const struct seal_key *key)
{
    struct err err = {0};
    cleanup_seal_plain struct seal_plain open = {0};
    if (seal_open(sealed->data, len, key, &open, &err) == 0)
        fail_msg("opened");
    assert_null(open.data);
    assert_true(err.code == ERR_CORRUPT || err.code == ERR_INVALID || err.code == ERR_UNTRUSTED ||
                err.code == ERR_UNSUPPORTED);
}

static void every_changed_byte_is_found(void **state)
{
    struct seal_key key = new_key();
    cleanup_free uint8_t *plain = make_plain(300);
    cleanup_buf struct buf sealed = BUF_INIT(1 << 20);
    seal(&key, &sealed);
    for (size_t i = 0; i < sealed.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            sealed.data[i] ^= (uint8_t)(1 << bit);
            check_corrupt(&sealed, sealed.len, &key);
            sealed.data[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t len = 0; len < sealed.len; len++)
        check_corrupt(&sealed, len, &key);
}

enum { RECORD = SEALED_CHUNK_BYTES + SEALED_TAG_BYTES };

static void put_length(struct buf *sealed, uint64_t plain_bytes)
{
    for (int i = 0; i < 8; i++)
        sealed->data[16 + i] = (uint8_t)(plain_bytes >> (56 - 8 * i));
}

static void chunks_cannot_be_moved(void **state)
{
    struct seal_key key = new_key();
    cleanup_free uint8_t *plain = make_plain(4 * SEALED_CHUNK_BYTES);
    cleanup_free uint8_t *spare = mem_zalloc(1, RECORD);
    cleanup_buf struct buf sealed = BUF_INIT(1 << 20);
    seal(&key, &sealed);
    uint8_t *first = sealed.data + SEALED_HEAD_BYTES;
    memcpy(spare, first, RECORD); /* exchanged */
    memcpy(first, first + RECORD, RECORD);
    memcpy(first + RECORD, spare, RECORD);
    check_corrupt(&sealed, sealed.len, &key);
    memcpy(first, spare, RECORD); /* repeated */
    check_corrupt(&sealed, sealed.len, &key);
    seal(&key, &sealed);
    put_length(&sealed, 3ull * SEALED_CHUNK_BYTES); /* cut at a chunk, with a head that fits */
    check_corrupt(&sealed, sealed.len - RECORD, &key);
}

/* From another file that the same key sealed, of the same length. */
static void chunks_of_other_files_do_not_open(void **state)
{
    struct err err = {0};
    struct seal_key key = new_key();
    cleanup_free uint8_t *plain = make_plain(2 * SEALED_CHUNK_BYTES);
    cleanup_buf struct buf first = BUF_INIT(1 << 20), second = BUF_INIT(1 << 20);
    seal(&key, &first);
    plain[0] ^= 1;
    assert_ok(file_replace(in_dir("plain"), plain, 2 * SEALED_CHUNK_BYTES, 0644, &err), err);
    seal(&key, &second);
    memcpy(second.data + SEALED_HEAD_BYTES + RECORD, first.data + SEALED_HEAD_BYTES + RECORD, RECORD);
    check_corrupt(&second, second.len, &key);
}

static void opened_weights_are_read_only_memory(void **state)
{
    struct err err = {0};
    struct seal_key key = new_key();
    cleanup_free uint8_t *plain = make_plain(5000);
    cleanup_buf struct buf sealed = BUF_INIT(1 << 20), maps = BUF_INIT(4 << 20);
    cleanup_seal_plain struct seal_plain open = {0};
    char line[40];
    seal(&key, &sealed);
    assert_ok(seal_open(sealed.data, sealed.len, &key, &open, &err), err);
    assert_ok(file_read("/proc/self/smaps", &maps, &err), err);
    snprintf(line, sizeof line, "%lx-", (unsigned long)(uintptr_t)open.data);
    const char *at = strstr(buf_text(&maps), line);
    assert_non_null(at);
    assert_int_equal(strncmp(strchr(at, ' '), " r--p", 5), 0);
    const char *flags = strstr(at, "VmFlags:"); /* dd: not in core files */
    assert_non_null(flags);
    assert_true(memmem(flags, strcspn(flags, "\n"), " dd", 3) != NULL);
}

static void keys_are_kept_as_keys_are(void **state)
{
    struct err err = {0};
    struct seal_key key = new_key(), back;
    assert_ok(seal_key_save(&key, in_dir("key"), &err), err);
    assert_fails(seal_key_save(&key, in_dir("key"), &err), err, ERR_EXISTS);
    assert_ok(seal_key_load(in_dir("key"), &back, &err), err);
    assert_memory_equal(key.bytes, back.bytes, sizeof key.bytes);
    assert_int_equal(chmod(in_dir("key"), 0644), 0);
    assert_fails(seal_key_load(in_dir("key"), &back, &err), err, ERR_REFUSED);
    assert_ok(file_replace(in_dir("key"), "muster-content-key-v1 12\n", 25, 0600, &err), err);
    assert_fails(seal_key_load(in_dir("key"), &back, &err), err, ERR_INVALID);
    assert_fails(seal_key_load(in_dir("none"), &back, &err), err, ERR_NOT_FOUND);
}

/* So that another implementation can check itself: docs/confidential.md. */
static void the_key_id_is_that_of_the_document(void **state)
{
    struct err err = {0};
    struct seal_key key;
    uint8_t id[32];
    char hex[65];
    memset(key.bytes, 0x42, sizeof key.bytes);
    assert_ok(seal_key_id(&key, id, &err), err);
    hex_encode(id, sizeof id, hex);
    assert_string_equal(hex, "a7a19b52224b66f9e4f22f316b6f7db52e3da898e3f3182288df8cc2c10d9b3a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens_again),
        cmocka_unit_test(keys_of_files_differ),
        cmocka_unit_test(every_changed_byte_is_found),
        cmocka_unit_test(chunks_cannot_be_moved),
        cmocka_unit_test(chunks_of_other_files_do_not_open),
        cmocka_unit_test(opened_weights_are_read_only_memory),
        cmocka_unit_test(keys_are_kept_as_keys_are),
        cmocka_unit_test(the_key_id_is_that_of_the_document),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
