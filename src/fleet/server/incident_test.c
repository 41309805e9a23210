/* Incidents: sent in parts, taken in once, only whole and signed by the robot that sends them; read by operators alone. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/harness.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/incident.h"

#include <string.h>

struct fixture {
    struct harness h;
    struct robot_peer one, two;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    harness_init(&f->h);
    harness_start(&f->h);
    harness_enroll(&f->h, "r1", &f->one);
    harness_enroll(&f->h, "r2", &f->two);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    harness_fini(&f->h);
    free(f);
    return 0;
}

static int into_buf(const void *data, size_t len, void *arg, struct err *err)
{
    return buf_put(arg, data, len, err);
}

static struct digest make(const struct robot_peer *robot, unsigned number, int severity, size_t bytes,
                          struct buf *out)
{
    struct err err = {0};
    cleanup_incident_signer struct incident_signer *signer = NULL;
    cleanup_incident_writer struct incident_writer *w = NULL;
    struct incident_facts facts = {
        .cause = "hold", .severity = severity, .time_ms = 1000 + number, .text = "aisle", .who = "ann"};
    snprintf(facts.id, sizeof facts.id, "%06u-20260102T030405Z-%d-hold", number, severity);
    str_copy(facts.robot, sizeof facts.robot, robot ? robot->id : "r1");
    struct incident_sink sink = {into_buf, out};
    buf_reset(out);
    if (robot)
        assert_ok(incident_signer_load(robot->key, robot->cert, &signer, &err), err);
    assert_ok(incident_begin(&sink, &facts, signer, &w, &err), err);
    uint16_t channel = 0;
    const struct mcap_topic topic = {"/log", "muster.Log", "{}"};
    assert_ok(mcap_writer_channel(incident_mcap(w), &topic, &channel, &err), err);
    uint32_t state = number + 1;
    for (size_t i = 0; i < bytes / 64; i++) {
        char text[64];
        state = state * 1664525u + 1013904223u;
        int len = snprintf(text, sizeof text, "{\"random\":%u,\"again\":%u}", state, state * 7919u);
        struct mcap_stamp stamp = {.log_ns = i, .publish_ns = i};
        assert_ok(mcap_writer_message(incident_mcap(w), channel, &stamp, text, (size_t)len, &err), err);
    }
    assert_ok(incident_finish(w, &err), err);
    return hash_bytes(out->data, out->len);
}

static struct reply put(struct fixture *f, const struct robot_peer *robot, const struct digest *digest,
                        const struct buf *file, size_t offset, size_t len)
{
    char path[192];
    snprintf(path, sizeof path, "/api/v1/incidents/%s?offset=%zu&total=%zu", digest_format(digest).text,
             offset, file->len);
    return robot_call(&f->h, robot, "PUT", path, file->data + offset, len);
}

static struct reply post(struct fixture *f, const struct robot_peer *robot, const struct digest *digest)
{
    char body[128];
    snprintf(body, sizeof body, "{\"digest\":\"%s\"}", digest_format(digest).text);
    return robot_call(&f->h, robot, "POST", "/api/v1/incidents", body, strlen(body));
}

static int send_all(struct fixture *f, const struct robot_peer *robot, const struct digest *digest,
                    const struct buf *file)
{
    cleanup_reply struct reply part = put(f, robot, digest, file, 0, file->len);
    if (part.status != 201)
        return part.status;
    cleanup_reply struct reply done = post(f, robot, digest);
    return done.status;
}

static void test_in_parts_once_and_read_back(void **state)
{
    struct fixture *f = *state;
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    struct digest digest = make(&f->one, 1, 1, 20000, &file);
    size_t half = file.len / 2;
    cleanup_reply struct reply first = put(f, &f->one, &digest, &file, 0, half);
    assert_int_equal(first.status, 202);
    assert_int_equal(find_number(first.body, "have"), half);
    cleanup_reply struct reply early = post(f, &f->one, &digest);
    assert_int_equal(early.status, 404);
    harness_stop(&f->h, SIGKILL); /* what it has it has still */
    harness_start(&f->h);
    cleanup_reply struct reply asked = put(f, &f->one, &digest, &file, 0, 0);
    assert_int_equal(asked.status, 202);
    assert_int_equal(find_number(asked.body, "have"), half);
    cleanup_reply struct reply rest = put(f, &f->one, &digest, &file, half, file.len - half);
    assert_int_equal(rest.status, 201);
    cleanup_reply struct reply done = post(f, &f->one, &digest);
    assert_int_equal(done.status, 201);
    cleanup_reply struct reply again = post(f, &f->one, &digest); /* the answer was lost */
    assert_int_equal(again.status, 200);
    assert_int_equal(find_number(again.body, "id"), find_number(done.body, "id"));

    cleanup_reply struct reply list = harness_call(&f->h, "GET", "/api/v1/incidents?robot=r1", NULL, 0);
    char text[80];
    assert_int_equal(list.status, 200);
    assert_true(find_text(list.body, "who", text, sizeof text));
    assert_string_equal(text, "ann");
    assert_int_equal(find_number(list.body, "time_ms"), 1001);
    cleanup_reply struct reply none = harness_call(&f->h, "GET", "/api/v1/incidents?robot=r2", NULL, 0);
    assert_null(strstr(none.body, "ann"));
    cleanup_reply struct reply one = harness_call(&f->h, "GET", "/api/v1/incidents/1", NULL, 0);
    assert_int_equal(one.status, 200);
    cleanup_reply struct reply bytes = harness_call(&f->h, "GET", "/api/v1/incidents/1/file", NULL, 0);
    assert_int_equal(bytes.status, 200);
    assert_int_equal(bytes.len, file.len);
    assert_memory_equal(bytes.body, file.data, file.len);
    cleanup_reply struct reply missing = harness_call(&f->h, "GET", "/api/v1/incidents/2/file", NULL, 0);
    assert_int_equal(missing.status, 404);
}

static void test_what_is_not_taken_in(void **state)
{
    struct fixture *f = *state;
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    struct digest digest = make(&f->two, 1, 1, 100, &file);
    assert_int_equal(send_all(f, &f->one, &digest, &file), 422); /* another robot's */
    digest = make(NULL, 2, 1, 100, &file);
    assert_int_equal(send_all(f, &f->one, &digest, &file), 422); /* not signed */
    make(&f->one, 3, 1, 100, &file);
    file.data[file.len / 2] ^= 1;
    digest = hash_bytes(file.data, file.len);
    int status = send_all(f, &f->one, &digest, &file);
    assert_true(status >= 400 && status < 600);
    buf_reset(&file);
    struct err err = {0};
    assert_ok(buf_put(&file, "no recording", 12, &err), err);
    digest = hash_bytes(file.data, file.len);
    assert_int_equal(send_all(f, &f->one, &digest, &file), 400);
    cleanup_reply struct reply list = harness_call(&f->h, "GET", "/api/v1/incidents", NULL, 0);
    assert_int_equal(list.status, 200);
    assert_null(strstr(list.body, "\"id\""));
}

static void test_another_robots_file_stays(void **state)
{
    struct fixture *f = *state;
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    struct digest digest = make(&f->one, 1, 1, 100, &file);
    assert_int_equal(send_all(f, &f->one, &digest, &file), 201);
    assert_int_equal(send_all(f, &f->two, &digest, &file), 409);
    cleanup_reply struct reply stolen = post(f, &f->two, &digest);
    assert_int_equal(stolen.status, 404);
    cleanup_reply struct reply bytes = harness_call(&f->h, "GET", "/api/v1/incidents/1/file", NULL, 0);
    assert_int_equal(bytes.len, file.len);
    char path[160]; /* robots read none, not even by digest */
    snprintf(path, sizeof path, "/api/v1/blobs/%s", digest_format(&digest).text);
    cleanup_reply struct reply read = robot_call(&f->h, &f->one, "GET", path, NULL, 0);
    assert_int_equal(read.status, 404);
}

static void test_room_per_robot(void **state)
{
    enum { MOST = 256 };
    struct fixture *f = *state;
    cleanup_buf struct buf file = BUF_INIT(1 << 20);
    for (unsigned i = 1; i <= MOST; i++) {
        struct digest digest = make(&f->one, i, i == 1 ? 0 : 2, 64, &file);
        assert_int_equal(send_all(f, &f->one, &digest, &file), 201);
    }
    struct digest digest = make(&f->one, 300, 1, 64, &file); /* the only lesser one goes */
    assert_int_equal(send_all(f, &f->one, &digest, &file), 201);
    cleanup_reply struct reply gone = harness_call(&f->h, "GET", "/api/v1/incidents/1", NULL, 0);
    assert_int_equal(gone.status, 404);
    digest = make(&f->one, 301, 0, 64, &file);
    assert_true(send_all(f, &f->one, &digest, &file) >= 400);
    digest = make(&f->two, 1, 0, 64, &file); /* another robot's room is its own */
    assert_int_equal(send_all(f, &f->two, &digest, &file), 201);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fresh(test_in_parts_once_and_read_back),
        fresh(test_what_is_not_taken_in),
        fresh(test_another_robots_file_stays),
        fresh(test_room_per_robot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
