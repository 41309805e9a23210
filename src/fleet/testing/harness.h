/* A real musterd in a scratch directory, and a client that can say anything to it. For tests only.
 *
 *     struct harness h;
 *     harness_init(&h);                        // musterd init; h.desk founds the fleet, with root.json
 *     harness_start(&h);                       // musterd serve on free ports
 *     struct reply reply = harness_call(&h, OPERATOR, "GET", "/api/v1/robots", NULL, 0);
 *     assert_int_equal(reply.status, 200);
 *     harness_stop(&h, SIGKILL);               // dies in the middle; harness_start goes on with the same
 * directory harness_fini(&h);
 */
#ifndef MUSTER_FLEET_TESTING_HARNESS_H
#define MUSTER_FLEET_TESTING_HARNESS_H

#include "base/digest.h"
#include "fleet/testing/desk.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ssl_st;
struct ssl_ctx_st;

struct harness {
    char root[64], dir[80]; /* scratch; the server's directory in it */
    pid_t pid;
    uint16_t robot_port, operator_port, console_port;
    char token[80];
    struct desk desk;     /* the offline keys of its fleet */
    bool rootless;        /* the next harness_start gives the server no root */
    const char *extra[8]; /* more options of musterd serve, for the next harness_start; NULL-terminated */
};

void harness_init(struct harness *h);
void harness_start(struct harness *h);
int harness_stop(struct harness *h, int signal_number); /* the wait status */
void harness_fini(struct harness *h);
int harness_setup(void **state); /* for cmocka: *state is a struct harness * that serves */
int harness_teardown(void **state);
void harness_path(const struct harness *h, const char *name, char out[160]); /* in the scratch directory */

/* One connection. cert NULL: no client certificate. */
struct peer {
    int fd;
    struct ssl_ctx_st *ctx;
    struct ssl_st *ssl; /* NULL: plain */
};
bool peer_open(struct peer *peer, uint16_t port, bool tls, const char *cert,
               const char *key); /* false: refused */
void peer_close(struct peer *peer);
bool peer_send(struct peer *peer, const void *data, size_t len);
void peer_end(struct peer *peer);                          /* nothing more will be sent */
long peer_read(struct peer *peer, void *data, size_t len); /* ≤ 0: closed or 10 s of silence */

struct reply {
    int status;        /* 0: the connection ended before one came */
    char *head, *body; /* owned; body NUL-terminated */
    size_t len;
};
struct reply peer_read_reply(struct peer *peer);
void reply_fini(struct reply *reply);
#define cleanup_reply __attribute__((cleanup(reply_fini)))

/* One request on a connection of its own with the operator's token. */
struct reply harness_call(const struct harness *h, const char *method, const char *path, const void *body,
                          size_t len);

/* A robot: its key and certificate lie in the scratch directory. */
struct robot_peer {
    char id[64], key[160], cert[160];
};
void harness_enroll(const struct harness *h, const char *id, struct robot_peer *out); /* at site north */
void harness_enroll_at(const struct harness *h, const char *id, const char *site, struct robot_peer *out);
struct reply robot_call(const struct harness *h, const struct robot_peer *robot, const char *method,
                        const char *path, const void *body, size_t len);

/* Formats a request with Content-Length; free() it. */
char *format_request(const char *method, const char *path, const char *headers, const void *body, size_t len,
                     size_t *out_len);

/* Packs a release "quadrants:VERSION", has the offline keys release it, and pushes it. */
struct digest harness_push(struct harness *h, const char *version);
/* The parts of that: its blobs; what the desk signed last of a role; the release itself. */
struct digest harness_upload(const struct harness *h, const char *version, uint64_t *out_length);
void harness_publish(const struct harness *h, const char *role, int64_t version);
struct reply harness_post_release(const struct harness *h, const struct digest *digest);

/* The number behind "key": in a JSON text, -1 if it is not there; enough for tests. */
int64_t find_number(const char *json, const char *key);
bool find_text(const char *json, const char *key, char *out, size_t size);

#endif
