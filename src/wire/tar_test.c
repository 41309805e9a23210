#include "wire/tar.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"

static void what_is_written_is_read(void **state)
{
    static const struct tar_entry entries[] = {
        {.name = "usr", .directory = true},
        {.name = "usr/bin/muster-runner", .executable = true, .size = 1},
        {.name = "etc/passwd", .size = 0},
        {.name = "usr/lib/muster/libonnxruntime.so.1", .size = 77777777777},
        {.name = "a/long/directory/name/that/alone/goes/well/over/one/half/of/what/a/header/may/hold/and/"
                 "then/some/more/of/it/file",
         .size = 512},
    };
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        uint8_t block[TAR_BLOCK];
        struct tar_entry back;
        struct err err = {0};
        if (entries[i].size > TAR_MAX_BYTES) {
            assert_fails(tar_format(&entries[i], block, &err), err, ERR_TOO_BIG);
            continue;
        }
        assert_ok(tar_format(&entries[i], block, &err), err);
        assert_int_equal(tar_parse(block, &back, &err), 1);
        assert_string_equal(back.name, entries[i].name);
        assert_int_equal(back.directory, entries[i].directory);
        assert_int_equal(back.executable, entries[i].executable);
        assert_int_equal(back.size, entries[i].size);
    }
}

static void zeros_are_the_end(void **state)
{
    uint8_t block[TAR_BLOCK] = {0};
    struct tar_entry entry;
    struct err err = {0};
    assert_int_equal(tar_parse(block, &entry, &err), 0);
}

static void names_that_lead_out_are_refused(void **state)
{
    static const char *const names[] = {"/etc/passwd", "../x", "a/../../x", "", "a//b", "."};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        uint8_t block[TAR_BLOCK];
        struct tar_entry entry = {0};
        struct err err = {0};
        str_copy(entry.name, sizeof entry.name, names[i]);
        assert_fails(tar_format(&entry, block, &err), err, ERR_INVALID);
    }
}

/* Every changed bit that matters shows; links, devices and the like have other types. */
static void a_changed_byte_is_found(void **state)
{
    struct tar_entry entry = {.name = "usr/bin/muster-runner", .executable = true, .size = 12345}, back;
    uint8_t block[TAR_BLOCK];
    struct err err = {0};
    assert_ok(tar_format(&entry, block, &err), err);
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        uint8_t kept = block[i];
        block[i] ^= 1;
        struct err found = {0};
        bool in_checksum_end = i == 155; /* the blank behind the checksum says nothing */
        if (!in_checksum_end)
            assert_int_equal(tar_parse(block, &back, &found), -1);
        block[i] = kept;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(zeros_are_the_end),
        cmocka_unit_test(names_that_lead_out_are_refused),
        cmocka_unit_test(a_changed_byte_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
