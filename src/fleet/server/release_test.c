/* Uploads and releases: nothing half, nothing unsigned, nothing damaged. */
#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/harness.h"
#include "release/image.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int post_release(const struct harness *h, const struct digest *digest)
{
    cleanup_reply struct reply reply = harness_post_release(h, digest);
    return reply.status;
}

/* Uploaded, and named by the targets. */
static struct digest prepare(struct harness *h, const char *version)
{
    uint64_t length;
    struct digest digest = harness_upload(h, version, &length);
    harness_publish(h, "targets", desk_release(&h->desk, "quadrants", version, &digest, length, NULL));
    return digest;
}

static void test_good_release_is_taken_and_shown(void **state)
{
    struct harness *h = *state;
    char digest_text[80];
    struct digest digest = prepare(h, "1.0.0");
    assert_int_equal(post_release(h, &digest), 201);
    assert_int_equal(post_release(h, &digest), 200); /* again: nothing new */
    cleanup_reply struct reply list = harness_call(h, "GET", "/api/v1/releases", NULL, 0);
    assert_true(find_text(list.body, "digest", digest_text, sizeof digest_text));
    assert_string_equal(digest_text, digest_format(&digest).text);
    assert_int_equal(find_number(list.body, "robots"), 0);
    struct robot_peer robot;
    harness_enroll(h, "r1", &robot);
    char path[160];
    snprintf(path, sizeof path, "/api/v1/blobs/%s", digest_format(&digest).text);
    cleanup_reply struct reply manifest = robot_call(h, &robot, "GET", path, NULL, 0);
    assert_int_equal(manifest.status, 200);
    struct digest got = hash_bytes(manifest.body, manifest.len);
    assert_true(digest_equal(&got, &digest));
}

static void test_missing_and_damaged_blobs_are_refused(void **state)
{
    struct harness *h = *state;
    struct err err = {0};
    char layout[160];
    struct digest release = prepare(h, "1.0.0");
    struct file_map model = {0};
    assert_ok(file_map(MUSTER_SOURCE_DIR "/tests/data/models/quadrants.onnx", &model, &err), err);
    struct digest digest = hash_bytes(model.data, model.size);
    snprintf(layout, sizeof layout, "%s/layout", h->dir);
    cleanup_free char *path = image_blob_path(layout, &digest);
    uint8_t *damaged = mem_dup(model.data, model.size);
    damaged[model.size / 2] ^= 1;
    chmod(path, 0600);
    assert_ok(file_replace(path, damaged, model.size, 0600, &err), err);
    assert_int_not_equal(post_release(h, &release) / 100, 2);
    unlink(path);
    assert_int_not_equal(post_release(h, &release) / 100, 2);
    assert_ok(file_replace(path, model.data, model.size, 0600, &err), err);
    assert_int_equal(post_release(h, &release), 201);
    free(damaged);
    file_unmap(&model);
}

/* ---- blobs over HTTP ---- */

enum { SIZE = 3000000, PART = 1000000 };

static uint8_t *pattern(struct digest *out)
{
    uint8_t *data = mem_zalloc(SIZE, 1);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 11));
    *out = hash_bytes(data, SIZE);
    return data;
}

static int put_part(const struct harness *h, const struct digest *digest, const uint8_t *data, size_t offset,
                    size_t len, int64_t *have)
{
    char path[200];
    snprintf(path, sizeof path, "/api/v1/blobs/%s?offset=%zu&total=%d", digest_format(digest).text, offset,
             SIZE);
    cleanup_reply struct reply reply = harness_call(h, "PUT", path, data + offset, len);
    *have = find_number(reply.body, "have");
    return reply.status;
}

static void test_parts_survive_a_kill(void **state)
{
    struct harness *h = *state;
    struct digest digest;
    cleanup_free uint8_t *data = pattern(&digest);
    int64_t have;
    char path[200];
    snprintf(path, sizeof path, "/api/v1/blobs/%s", digest_format(&digest).text);
    assert_int_equal(put_part(h, &digest, data, 0, PART, &have), 202);
    harness_stop(h, SIGKILL);
    harness_start(h);
    assert_int_equal(put_part(h, &digest, data, 2 * PART, PART, &have), 409); /* beyond the end */
    assert_int_equal(put_part(h, &digest, data, 0, PART, &have), 202);
    assert_int_equal(have, PART);
    cleanup_reply struct reply absent = harness_call(h, "GET", path, NULL, 0);
    assert_int_equal(absent.status, 404);
    assert_int_equal(put_part(h, &digest, data, PART, PART, &have), 202);
    assert_int_equal(put_part(h, &digest, data, 2 * PART, PART, &have), 201);
    cleanup_reply struct reply whole = harness_call(h, "GET", path, NULL, 0);
    assert_int_equal(whole.status, 200);
    assert_int_equal(whole.len, SIZE);
    assert_memory_equal(whole.body, data, SIZE);
}

static int get_range(const struct harness *h, const struct digest *digest, const char *range,
                     struct reply *reply)
{
    char path[200], headers[300];
    size_t len;
    struct peer peer;
    snprintf(path, sizeof path, "/api/v1/blobs/%s", digest_format(digest).text);
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\nRange: %s\r\n", h->token, range);
    cleanup_free char *request = format_request("GET", path, headers, NULL, 0, &len);
    assert_true(peer_open(&peer, h->operator_port, true, NULL, NULL));
    assert_true(peer_send(&peer, request, len));
    *reply = peer_read_reply(&peer);
    peer_close(&peer);
    return reply->status;
}

static void test_ranges(void **state)
{
    struct harness *h = *state;
    struct digest digest;
    cleanup_free uint8_t *data = pattern(&digest);
    int64_t have;
    assert_int_equal(put_part(h, &digest, data, 0, SIZE, &have), 201);
    static const struct {
        const char *range;
        int status;
        size_t from, len;
    } cases[] = {
        {"bytes=0-0", 206, 0, 1},          {"bytes=1000-", 206, 1000, SIZE - 1000},
        {"bytes=-10", 206, SIZE - 10, 10}, {"bytes=5-99999999", 206, 5, SIZE - 5},
        {"bytes=3000000-", 416, 0, 0},     {"bytes=99999999999999999999-", 416, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply reply;
        int status = get_range(h, &digest, cases[i].range, &reply);
        if (cases[i].status == 206) {
            assert_int_equal(status, 206);
            assert_int_equal(reply.len, cases[i].len);
            assert_memory_equal(reply.body, data + cases[i].from, cases[i].len);
        } else {
            assert_true(status == 416 || status == 400 || status == 200);
        }
        reply_fini(&reply);
    }
}

/* A full disk, played by a file size limit of the server: 507 for what does not fit, nothing visible, nothing
 * lost. */
static void test_full_disk(void **state)
{
    struct harness *h = *state;
    struct digest digest;
    cleanup_free uint8_t *data = pattern(&digest);
    int64_t have;
    struct rlimit old, tight;
    char path[200];
    snprintf(path, sizeof path, "/api/v1/blobs/%s", digest_format(&digest).text);
    assert_int_equal(put_part(h, &digest, data, 0, 500000, &have), 202);
    assert_int_equal(prlimit(h->pid, RLIMIT_FSIZE, NULL, &old), 0);
    tight = old;
    tight.rlim_cur = 600000;
    assert_int_equal(prlimit(h->pid, RLIMIT_FSIZE, &tight, NULL), 0);
    assert_int_equal(put_part(h, &digest, data, 500000, PART, &have), 507);
    int status = 0, accepted = 0;
    for (int i = 0; i < 5000 && status != 507; i++) { /* and the database */
        cleanup_reply struct reply reply = harness_call(h, "POST", "/api/v1/enroll-tokens", "{}", 2);
        status = reply.status;
        accepted += status == 201;
    }
    assert_int_equal(status, 507);
    assert_true(accepted > 0);
    cleanup_reply struct reply alive = harness_call(h, "GET", "/api/v1/robots", NULL, 0);
    assert_int_equal(alive.status, 200);
    assert_int_equal(prlimit(h->pid, RLIMIT_FSIZE, &old, NULL), 0);
    cleanup_reply struct reply again = harness_call(h, "POST", "/api/v1/enroll-tokens", "{}", 2);
    assert_int_equal(again.status, 201);
    cleanup_reply struct reply absent = harness_call(h, "GET", path, NULL, 0);
    assert_int_equal(absent.status, 404);
    assert_int_equal(put_part(h, &digest, data, 500000, SIZE - 500000, &have), 201);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_release_is_taken_and_shown, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_missing_and_damaged_blobs_are_refused, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_parts_survive_a_kill, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_ranges, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, harness_setup, harness_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
