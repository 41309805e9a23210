/* Whatever is done to a sealed incident is noticed, and where. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/clock.h"
#include "sys/file.h"
#include "trust/ca.h"
#include "trust/incident.h"
#include "wire/mcap/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[64];
static char key_path[96], cert_path[96], ca_path[96], other_ca[96];

static void make_device(const char *robot)
{
    struct err err = {0};
    cleanup_free char *csr = NULL, *pem = NULL;
    char serial[CERT_SERIAL_SIZE];
    assert_ok(csr_make(key_path, robot, &csr, &err), err);
    assert_ok(ca_sign_csr(dir, csr, strlen(csr), robot, 3600, clock_wall_ms() / 1000, &pem, serial, &err),
              err);
    assert_ok(file_replace(cert_path, pem, strlen(pem), 0644, &err), err);
}

static int set_up(void **state)
{
    struct err err = {0};
    snprintf(dir, sizeof dir, "/tmp/muster-incident-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(key_path, sizeof key_path, "%s/device.key", dir);
    snprintf(cert_path, sizeof cert_path, "%s/device.pem", dir);
    snprintf(ca_path, sizeof ca_path, "%s/ca.pem", dir);
    snprintf(other_ca, sizeof other_ca, "%s/other/ca.pem", dir);
    cleanup_free char *other = file_join(dir, "other");
    assert_ok(file_make_dirs(other, 0700, &err), err);
    assert_ok(ca_init(dir, "localhost", clock_wall_ms() / 1000, &err), err);
    assert_ok(ca_init(other, "localhost", clock_wall_ms() / 1000, &err), err);
    make_device("r1");
    return 0;
}

static int tear_down(void **state)
{
    struct err err = {0};
    assert_ok(file_remove_tree(dir, &err), err);
    return 0;
}

static int into_buf(const void *data, size_t len, void *arg, struct err *err)
{
    return buf_put(arg, data, len, err);
}

/* `chunks` parts between the first and the last one. */
static void make(struct buf *out, const char *robot, bool sign, size_t chunks)
{
    struct err err = {0};
    cleanup_incident_signer struct incident_signer *signer = NULL;
    cleanup_incident_writer struct incident_writer *w = NULL;
    struct incident_facts facts = {.id = "000001-x-estop",
                                   .cause = "estop",
                                   .severity = 3,
                                   .time_ms = 5000,
                                   .frames = 7,
                                   .text = "a\nb",
                                   .frame_rate = 5.25};
    snprintf(facts.robot, sizeof facts.robot, "%s", robot);
    struct incident_sink sink = {into_buf, out};
    if (sign)
        assert_ok(incident_signer_load(key_path, cert_path, &signer, &err), err);
    assert_ok(incident_begin(&sink, &facts, signer, &w, &err), err);
    uint16_t channel = 0;
    const struct mcap_topic topic = {"/log", "muster.Log", "{}"};
    assert_ok(mcap_writer_channel(incident_mcap(w), &topic, &channel, &err), err);
    for (size_t i = 0; i < chunks; i++) {
        struct mcap_stamp stamp = {.seq = (uint32_t)i, .log_ns = i, .publish_ns = i};
        assert_ok(mcap_writer_message(incident_mcap(w), channel, &stamp, "{}", 2, &err), err);
        assert_ok(mcap_writer_flush(incident_mcap(w), &err), err);
    }
    assert_ok(incident_finish(w, &err), err);
}

static void test_whole(void **state)
{
    struct err err = {0};
    struct incident_verdict verdict;
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    make(&file, "r1", true, 3);
    assert_ok(incident_verify(file.data, file.len, NULL, &verdict, &err), err);
    assert_int_equal(verdict.signature, INCIDENT_SIGNED);
    assert_int_equal(verdict.parts, 4);
    assert_false(verdict.broken);
    assert_string_equal(verdict.facts.cause, "estop");
    assert_string_equal(verdict.facts.text, "a?b");
    assert_int_equal(verdict.facts.frames, 7);
    assert_true(verdict.facts.frame_rate > 5.2 && verdict.facts.frame_rate < 5.3);
    assert_ok(incident_verify(file.data, file.len, ca_path, &verdict, &err), err);
    assert_int_equal(verdict.signature, INCIDENT_TRUSTED);
    assert_string_equal(verdict.signer, "r1");
    assert_fails(incident_verify(file.data, file.len, other_ca, &verdict, &err), err, ERR_UNTRUSTED);
}

static void test_whose_it_is(void **state)
{
    struct err err = {0};
    struct incident_verdict verdict;
    cleanup_buf struct buf foreign = BUF_INIT(1 << 20), bare = BUF_INIT(1 << 20);
    make(&foreign, "r2", true, 1);
    assert_fails(incident_verify(foreign.data, foreign.len, ca_path, &verdict, &err), err, ERR_UNTRUSTED);
    make(&bare, "r1", false, 1);
    assert_ok(incident_verify(bare.data, bare.len, ca_path, &verdict, &err), err);
    assert_int_equal(verdict.signature, INCIDENT_UNSIGNED);
}

/* Every single bit: noticed, and in the part where it is. (A seal whose own head was changed may show by what follows.) */
enum { SEAL_RECORD_BYTES = 9 + 48 + 80 };

static void every_bit(bool sign)
{
    struct err err;
    struct incident_verdict verdict;
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    make(&file, "r1", sign, 3);
    for (size_t bit = 0; bit < file.len * 8; bit++) {
        err = (struct err){0};
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (incident_verify(file.data, file.len, NULL, &verdict, &err) == 0)
            fail_msg("bit %zu of byte %zu of %zu may be anything", bit % 8, bit / 8, file.len);
        if (verdict.broken && verdict.broken_from > bit / 8 + SEAL_RECORD_BYTES)
            fail_msg("byte %zu was changed, byte %llu was blamed", bit / 8,
                     (unsigned long long)verdict.broken_from);
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_every_bit(void **state)
{
    every_bit(true);
    every_bit(false);
}

static void test_every_cut(void **state)
{
    struct err err;
    struct incident_verdict verdict;
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    make(&file, "r1", true, 3);
    for (size_t len = 0; len < file.len; len++) {
        err = (struct err){0};
        assert_int_equal(incident_verify(file.data, len, NULL, &verdict, &err), -1);
    }
}

/* Where each part ends: the offset behind its seal. */
static size_t part_ends(const struct buf *file, size_t *out, size_t max)
{
    struct err err = {0};
    struct mcap_cursor cursor;
    struct mcap_record record;
    size_t count = 0;
    assert_ok(mcap_open(&cursor, file->data, file->len, &err), err);
    while (mcap_next(&cursor, &record, &err) == 1)
        if (record.opcode >= MCAP_PRIVATE && count < max)
            out[count++] = record.offset + MCAP_HEAD_BYTES + record.body.len;
    return count;
}

static void test_a_part_is_missing_or_moved(void **state)
{
    struct err err = {0};
    struct incident_verdict verdict;
    cleanup_buf struct buf file = BUF_INIT(1 << 20), changed = BUF_INIT(1 << 20);
    size_t ends[8];
    make(&file, "r1", true, 3);
    assert_int_equal(part_ends(&file, ends, 8), 4);
    assert_ok(buf_put(&changed, file.data, ends[1], &err), err); /* without part 2 */
    assert_ok(buf_put(&changed, file.data + ends[2], file.len - ends[2], &err), err);
    assert_fails(incident_verify(changed.data, changed.len, NULL, &verdict, &err), err, ERR_CORRUPT);
    assert_true(verdict.broken);
    assert_int_equal(verdict.parts, 2);
    assert_int_equal(verdict.broken_from, ends[1]);

    buf_reset(&changed); /* parts 1 and 2 change places */
    assert_ok(buf_put(&changed, file.data, ends[0], &err), err);
    assert_ok(buf_put(&changed, file.data + ends[1], ends[2] - ends[1], &err), err);
    assert_ok(buf_put(&changed, file.data + ends[0], ends[1] - ends[0], &err), err);
    assert_ok(buf_put(&changed, file.data + ends[2], file.len - ends[2], &err), err);
    assert_fails(incident_verify(changed.data, changed.len, NULL, &verdict, &err), err, ERR_CORRUPT);
    assert_int_equal(verdict.parts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_whose_it_is),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_a_part_is_missing_or_moved),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
