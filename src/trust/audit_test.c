#include "base/mem.h"
#include "base/testing.h"
#include "trust/audit.h"

enum { ENTRIES = 20 };

struct record {
    uint64_t seq;
    char *entry;
    struct digest hash;
};

struct log {
    struct record records[ENTRIES];
    size_t count;
};

static void make(struct log *log)
{
    struct digest head = {0};
    log->count = ENTRIES;
    for (size_t i = 0; i < ENTRIES; i++) {
        static const char *const robots[] = {"r1", "r2"};
        struct audit_entry entry = {.seq = i + 1,
                                    .time_ms = 1700000000000 + (int64_t)i,
                                    .kind = "command",
                                    .who = "alice",
                                    .what = "stop",
                                    .why = "smoke \"here\"\n",
                                    .robots = robots,
                                    .robot_count = 2,
                                    .command = i};
        struct record *record = &log->records[i];
        *record = (struct record){.seq = i + 1, .entry = audit_entry_format(&entry)};
        assert_non_null(record->entry);
        head = record->hash = audit_hash(&head, record->entry);
    }
}

static void drop(struct log *log)
{
    for (size_t i = 0; i < log->count; i++)
        free(log->records[i].entry);
}
#define cleanup_log __attribute__((cleanup(drop)))

/* 0: sound; else the number that follows the last sound entry. */
static uint64_t first_wrong(const struct log *log, struct err *err)
{
    struct audit_chain chain = {0};
    for (size_t i = 0; i < log->count; i++)
        if (audit_follow(&chain, log->records[i].seq, log->records[i].entry, &log->records[i].hash, err) < 0)
            return chain.seq + 1;
    return 0;
}

static void a_sound_log_is_sound(void **state)
{
    cleanup_log struct log log;
    struct err err = {0};
    make(&log);
    assert_int_equal(first_wrong(&log, &err), 0);
}

/* Every bit of every entry and hash. */
static void a_changed_bit_is_located(void **state)
{
    cleanup_log struct log log;
    make(&log);
    for (size_t i = 0; i < ENTRIES; i++) {
        for (size_t bit = 0; bit < strlen(log.records[i].entry) * 8; bit++) {
            struct err err = {0};
            log.records[i].entry[bit / 8] ^= (char)(1 << bit % 8);
            assert_int_equal(first_wrong(&log, &err), i + 1);
            assert_int_equal(err.code, ERR_CORRUPT);
            log.records[i].entry[bit / 8] ^= (char)(1 << bit % 8);
        }
        for (size_t bit = 0; bit < 256; bit++) {
            struct err err = {0};
            log.records[i].hash.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(first_wrong(&log, &err), i + 1);
            log.records[i].hash.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

/* Whoever rewrites an entry with its hash has to rewrite all that follow. */
static void a_forged_hash_shows_at_the_next_entry(void **state)
{
    cleanup_log struct log log;
    struct err err = {0};
    make(&log);
    log.records[6].entry[strlen(log.records[6].entry) - 2]--;
    log.records[6].hash = audit_hash(&log.records[5].hash, log.records[6].entry);
    assert_int_equal(first_wrong(&log, &err), 8);
}

static void removed_and_exchanged_entries_are_located(void **state)
{
    for (size_t gone = 0; gone + 1 < ENTRIES; gone++) {
        cleanup_log struct log log;
        struct err err = {0};
        make(&log);
        free(log.records[gone].entry);
        memmove(&log.records[gone], &log.records[gone + 1], (ENTRIES - gone - 1) * sizeof log.records[0]);
        log.count--;
        assert_int_equal(first_wrong(&log, &err), gone + 1);
        assert_non_null(strstr(err.text, "missing"));
        for (size_t i = gone; i < log.count; i++) /* renumbered, to hide it */
            log.records[i].seq--;
        assert_int_equal(first_wrong(&log, &err), gone + 1);
    }
    cleanup_log struct log log;
    struct err err = {0};
    make(&log);
    struct record other = log.records[3];
    log.records[3] = log.records[4];
    log.records[4] = other;
    assert_int_equal(first_wrong(&log, &err), 4);
}

/* A whole new chain is sound in itself: only a remembered head tells. */
static void a_remembered_head_finds_a_cut_end(void **state)
{
    cleanup_log struct log log;
    struct err err = {0};
    make(&log);
    struct audit_chain known = {.seq = ENTRIES, .head = log.records[ENTRIES - 1].hash};
    assert_int_equal(audit_follow(&known, ENTRIES - 1, log.records[ENTRIES - 2].entry,
                                  &log.records[ENTRIES - 2].hash, &err),
                     -1);
    assert_int_equal(known.seq, ENTRIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_log_is_sound),
        cmocka_unit_test(a_changed_bit_is_located),
        cmocka_unit_test(a_forged_hash_shows_at_the_next_entry),
        cmocka_unit_test(removed_and_exchanged_entries_are_located),
        cmocka_unit_test(a_remembered_head_finds_a_cut_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
