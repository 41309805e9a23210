#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "trust/audit.h"
#include "trust/merkle/follow.h"

#include <string.h>

enum { ENTRIES = 12 };

struct record {
    uint64_t seq;
    char entry[160];
    struct digest hash;
};

struct log { /* and what is known of it: the checkpoints at 5 and at its end, and the hash of each entry */
    struct record records[ENTRIES + 1];
    size_t count;
    struct checkpoint checkpoints[2];
    struct digest before[ENTRIES];
};

static void write_entry(struct record *record, uint64_t seq, const char *who)
{
    cleanup_free char *text = audit_entry_format(&(struct audit_entry){
        .seq = seq, .time_ms = 1700000000000, .kind = "command", .who = who, .what = "stop"});
    record->seq = seq;
    assert_true(str_copy(record->entry, sizeof record->entry, text));
    record->hash = merkle_leaf(text, strlen(text));
}

static void make(struct log *log)
{
    struct merkle_tree tree = {0};
    struct err err = {0};
    *log = (struct log){.count = ENTRIES};
    for (size_t i = 0; i < ENTRIES; i++) {
        write_entry(&log->records[i], i + 1, "alice");
        log->before[i] = log->records[i].hash;
        assert_ok(merkle_append(&tree, &log->records[i].hash, NULL, NULL, &err), err);
        if (i + 1 == 5 || i + 1 == ENTRIES)
            log->checkpoints[i + 1 == ENTRIES] =
                (struct checkpoint){.size = i + 1, .root = merkle_root(&tree)};
    }
}

/* 0: sound; else the number behind the last one that was found sound. With `known` the hashes of before are at hand. */
static uint64_t first_wrong(const struct log *log, bool known, struct err *err)
{
    struct follow follow = {0};
    for (size_t i = 0; i < log->count; i++) {
        const struct record *record = &log->records[i];
        if (known && record->seq >= 1 && record->seq <= ENTRIES &&
            follow_compare(record->seq, &record->hash, &log->before[record->seq - 1], err) < 0)
            return record->seq;
        if (follow_entry(&follow, record->seq, record->entry, strlen(record->entry), &record->hash, err) < 0)
            return follow.tree.size + 1;
        for (size_t j = 0; j < ARRAY_LEN(log->checkpoints); j++)
            if (log->checkpoints[j].size == follow.tree.size &&
                follow_checkpoint(&follow, &log->checkpoints[j], err) < 0)
                return follow.held + 1;
    }
    return follow.tree.size < log->checkpoints[1].size ? follow.tree.size + 1 : 0;
}

static void a_sound_log_is_sound(void **state)
{
    struct log log;
    struct err err = {0};
    make(&log);
    assert_int_equal(first_wrong(&log, true, &err), 0);
}

/* Every bit of every number, entry and hash. */
static void a_changed_bit_is_located(void **state)
{
    struct log log;
    make(&log);
    for (size_t i = 0; i < ENTRIES; i++) {
        struct record *record = &log.records[i];
        struct {
            void *data;
            size_t len;
        } fields[] = {{&record->seq, sizeof record->seq},
                      {record->entry, strlen(record->entry)},
                      {record->hash.bytes, sizeof record->hash.bytes}};
        for (size_t j = 0; j < ARRAY_LEN(fields); j++)
            for (size_t bit = 0; bit < fields[j].len * 8; bit++) {
                struct err err = {0};
                ((uint8_t *)fields[j].data)[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_equal(first_wrong(&log, false, &err), i + 1);
                assert_int_equal(err.code, ERR_CORRUPT);
                ((uint8_t *)fields[j].data)[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
    }
}

/* Its hash fits, and it is no entry. */
static void what_is_no_entry_is_located(void **state)
{
    static const char *const texts[] = {"", "{", "{}", "[]", "{\"seq\":\"1\"}", "{\"seq\":0}", "{\"seq\":2}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct follow follow = {0};
        struct err err = {0};
        struct digest hash = merkle_leaf(texts[i], strlen(texts[i]));
        assert_fails(follow_entry(&follow, 1, texts[i], strlen(texts[i]), &hash, &err), err, ERR_CORRUPT);
        assert_int_equal(follow.tree.size, 0);
    }
}

/* Whoever owns the database gives a forged entry its hash as well: the next checkpoint tells between which two it is, and who
 * remembers the hashes which. */
static void a_forged_hash_is_located(void **state)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        struct log log;
        struct err err = {0};
        make(&log);
        write_entry(&log.records[i], i + 1, "mallory");
        assert_int_equal(first_wrong(&log, false, &err), i < 5 ? 1 : 6);
        assert_int_equal(first_wrong(&log, true, &err), i + 1);
    }
}

static void remove_at(struct log *log, size_t i)
{
    memmove(&log->records[i], &log->records[i + 1], (log->count - i - 1) * sizeof log->records[0]);
    log->count--;
}

/* From `i` on the numbers fit again, in the rows and in the entries. */
static void renumber(struct log *log, size_t from)
{
    for (size_t i = from; i < log->count; i++)
        write_entry(&log->records[i], i + 1, "alice");
}

static void removed_entries_are_located(void **state)
{
    for (size_t gone = 0; gone < ENTRIES; gone++) {
        struct log log;
        struct err err = {0};
        make(&log);
        remove_at(&log, gone);
        assert_int_equal(first_wrong(&log, false, &err), gone + 1);
        for (size_t i = gone; i < log.count; i++) /* the rows alone, to hide it */
            log.records[i].seq--;
        assert_int_equal(first_wrong(&log, false, &err), gone + 1);
        make(&log);
        write_entry(&log.records[gone], gone + 1, "bob"); /* they are not all alike */
        log.before[gone] = log.records[gone].hash;
        remove_at(&log, gone);
        renumber(&log, gone);
        assert_int_equal(first_wrong(&log, true, &err), gone + 1);
    }
}

static void slipped_in_entries_are_located(void **state)
{
    for (size_t at = 0; at < ENTRIES; at++) {
        struct log log;
        struct err err = {0};
        make(&log);
        memmove(&log.records[at + 1], &log.records[at], (log.count - at) * sizeof log.records[0]);
        log.count++;
        write_entry(&log.records[at], at + 1, "mallory");
        assert_int_equal(first_wrong(&log, true, &err), at + 1);
        uint64_t found =
            first_wrong(&log, false, &err); /* its own number comes twice, or the checkpoint tells */
        assert_true(found == at + 2 || found == 1 || found == 6);
        for (size_t i = at + 1; i < log.count; i++)
            write_entry(&log.records[i], i + 1, "alice");
        assert_int_equal(first_wrong(&log, true, &err), at + 1);
        assert_int_equal(first_wrong(&log, false, &err), at < 5 ? 1 : 6);
    }
}

static void exchanged_and_cut_off_entries_are_located(void **state)
{
    for (size_t i = 0; i + 1 < ENTRIES; i++) {
        struct log log;
        struct err err = {0};
        make(&log);
        struct record other = log.records[i];
        log.records[i] = log.records[i + 1];
        log.records[i + 1] = other;
        assert_int_equal(first_wrong(&log, false, &err), i + 1);
        make(&log);
        log.count = i;
        assert_int_equal(first_wrong(&log, false, &err), i + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_log_is_sound),
        cmocka_unit_test(a_changed_bit_is_located),
        cmocka_unit_test(what_is_no_entry_is_located),
        cmocka_unit_test(a_forged_hash_is_located),
        cmocka_unit_test(removed_entries_are_located),
        cmocka_unit_test(slipped_in_entries_are_located),
        cmocka_unit_test(exchanged_and_cut_off_entries_are_located),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
