/* What the writer wrote the reader reads; any one bit, any cut is noticed. (Stock readers: tests/mcap_stock.mjs.) */
#include "base/testing.h"

#include "base/buf.h"
#include "wire/mcap/reader.h"
#include "wire/mcap/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int into_buf(const void *data, size_t len, void *arg, struct err *err)
{
    return buf_put(arg, data, len, err);
}

struct made {
    struct buf file;
    int hooks, footers;
};

static int to_made(const void *data, size_t len, void *arg, struct err *err)
{
    struct made *made = arg;
    return into_buf(data, len, &made->file, err);
}

static int after_chunk(struct mcap_writer *w, void *arg, struct err *err)
{
    struct made *made = arg;
    made->hooks++;
    return mcap_writer_private(w, 0x90, "between", 7, err);
}

static int before_footer(struct mcap_writer *w, void *arg, struct err *err)
{
    struct made *made = arg;
    made->footers++;
    return mcap_writer_private(w, 0x91, "last", 4, err);
}

static void make(struct made *made, bool plain, size_t messages)
{
    struct err err = {0};
    made->file = (struct buf)BUF_INIT(1 << 24);
    struct mcap_options options = {.sink = to_made,
                                   .after_chunk = after_chunk,
                                   .before_footer = before_footer,
                                   .arg = made,
                                   .library = "test",
                                   .chunk_bytes = 600,
                                   .plain = plain};
    cleanup_mcap_writer struct mcap_writer *w = NULL;
    uint16_t a = 0, b = 0;
    assert_ok(mcap_writer_new(&options, &w, &err), err);
    const struct mcap_topic one = {"/one", "test.One", "{\"type\":\"object\"}"};
    const struct mcap_topic two = {"/two", "test.Two", "{\"type\":\"object\"}"};
    assert_ok(mcap_writer_channel(w, &one, &a, &err), err);
    assert_ok(mcap_writer_channel(w, &two, &b, &err), err);
    const struct mcap_pair pairs[] = {{"robot", "r1"}, {"why", ""}};
    assert_ok(mcap_writer_metadata(w, "muster.incident", pairs, 2, &err), err);
    assert_ok(mcap_writer_attach(w, "device.pem", "application/x-pem-file", 5, "abc", 3, &err), err);
    for (size_t i = 0; i < messages; i++) {
        char text[64];
        int len = snprintf(text, sizeof text, "{\"i\":%zu,\"text\":\"aaaaaaaaaaaaaaaa\"}", i);
        struct mcap_stamp stamp = {.seq = (uint32_t)i, .log_ns = 1000 + i, .publish_ns = 900 + i};
        assert_ok(mcap_writer_message(w, i % 3 ? a : b, &stamp, text, (size_t)len, &err), err);
    }
    assert_ok(mcap_writer_finish(w, &err), err);
    assert_int_equal(mcap_writer_offset(w), made->file.len);
}

struct seen {
    size_t messages, metadata, attachments;
    uint64_t last_ns;
};

static int see_message(const struct mcap_channel *channel, const struct mcap_message *message, void *arg,
                       struct err *err)
{
    struct seen *seen = arg;
    char want[64];
    int len = snprintf(want, sizeof want, "{\"i\":%zu,\"text\":\"aaaaaaaaaaaaaaaa\"}", seen->messages);
    assert_int_equal(message->data.len, len);
    assert_memory_equal(message->data.data, want, (size_t)len);
    assert_true(mcap_slice_is(channel->topic, seen->messages % 3 ? "/one" : "/two"));
    assert_int_equal(message->seq, seen->messages);
    assert_int_equal(message->publish_ns, 900 + seen->messages);
    seen->last_ns = message->log_ns;
    seen->messages++;
    return 0;
}

static int see_metadata(struct mcap_slice name, struct mcap_slice map, void *arg, struct err *err)
{
    char value[16] = "x";
    assert_true(mcap_slice_is(name, "muster.incident"));
    assert_true(mcap_metadata_get(map, "robot", value, sizeof value));
    assert_string_equal(value, "r1");
    assert_true(mcap_metadata_get(map, "why", value, sizeof value));
    assert_string_equal(value, "");
    assert_false(mcap_metadata_get(map, "robots", value, sizeof value));
    assert_false(mcap_metadata_get(map, "robot", value, 2)); /* it does not fit */
    ((struct seen *)arg)->metadata++;
    return 0;
}

static int see_attachment(const struct mcap_attachment *attachment, void *arg, struct err *err)
{
    assert_true(mcap_slice_is(attachment->name, "device.pem"));
    assert_true(mcap_slice_is(attachment->data, "abc"));
    ((struct seen *)arg)->attachments++;
    return 0;
}

static void round_trip(bool plain)
{
    struct made made = {0};
    struct seen seen = {0};
    struct err err = {0};
    make(&made, plain, 100);
    const struct mcap_visitor visitor = {see_message, see_metadata, see_attachment, &seen};
    assert_ok(mcap_read(made.file.data, made.file.len, &visitor, &err), err);
    assert_int_equal(seen.messages, 100);
    assert_int_equal(seen.last_ns, 1099);
    assert_int_equal(seen.metadata, 1);
    assert_int_equal(seen.attachments, 1);
    assert_true(made.hooks > 5);
    assert_int_equal(made.footers, 1);
    buf_fini(&made.file);
}

static void test_round_trip(void **state)
{
    round_trip(false);
    round_trip(true);
}

static void test_empty(void **state)
{
    struct made made = {0};
    struct err err = {0};
    struct seen seen = {0};
    make(&made, false, 0);
    const struct mcap_visitor visitor = {see_message, NULL, NULL, &seen};
    assert_ok(mcap_read(made.file.data, made.file.len, &visitor, &err), err);
    assert_int_equal(seen.messages, 0);
    buf_fini(&made.file);
}

static void test_every_cut_is_noticed(void **state)
{
    struct made made = {0};
    struct err err;
    make(&made, false, 20);
    const struct mcap_visitor visitor = {0};
    for (size_t len = 0; len < made.file.len; len++) {
        err = (struct err){0};
        char *copy = malloc(len ? len : 1); /* so that a look beyond it is noticed */
        memcpy(copy, made.file.data, len);
        assert_int_equal(mcap_read(copy, len, &visitor, &err), -1);
        free(copy);
    }
    buf_fini(&made.file);
}

static void test_every_bit_is_noticed(void **state)
{
    struct made made = {0};
    struct err err;
    make(&made, false, 20);
    const struct mcap_visitor visitor = {0};
    for (size_t bit = 0; bit < made.file.len * 8; bit++) {
        err = (struct err){0};
        made.file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (mcap_read(made.file.data, made.file.len, &visitor, &err) == 0)
            fail_msg("bit %zu of byte %zu of %zu may be anything", bit % 8, bit / 8, made.file.len);
        made.file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_fini(&made.file);
}

static void test_chunk_bomb(void **state)
{
    struct err err = {0};
    cleanup_buf struct buf plain = BUF_INIT(MCAP_MAX_CHUNK_BYTES);
    struct mcap_chunk chunk = {.plain_bytes = UINT64_MAX, .how = {(const uint8_t *)"zstd", 4}};
    assert_fails(mcap_unpack(&chunk, &plain, &err), err, ERR_TOO_BIG);
    chunk.plain_bytes = 100;
    assert_fails(mcap_unpack(&chunk, &plain, &err), err, ERR_CORRUPT);
    chunk.how = (struct mcap_slice){(const uint8_t *)"lz4", 3};
    assert_fails(mcap_unpack(&chunk, &plain, &err), err, ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),           cmocka_unit_test(test_empty),
        cmocka_unit_test(test_every_cut_is_noticed), cmocka_unit_test(test_every_bit_is_noticed),
        cmocka_unit_test(test_chunk_bomb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
