/* An HTTPS client (libcurl multi) that lives in the caller's poll loop.
 *
 *     struct fetch *fetch = fetch_new(&options, &err);
 *     fetch_start(fetch, &request, on_done, arg, &err);      // any number at once
 *     for (;;) fetch_poll(fetch, epoll_fd, 500);             // transfers and the caller's own events, one wait
 *
 * - https only (http only for loopback addresses), no redirects, no proxies from the environment, own CA only.
 * - A transfer that moves less than 1 byte/s for stall_s seconds fails with TIMEOUT; one that passes max_bytes fails
 *   with TOO_BIG and is cut at once.
 */
#ifndef MUSTER_SYS_FETCH_H
#define MUSTER_SYS_FETCH_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetch;

struct fetch_options {
    const char *ca_path;   /* trust anchor for the server, PEM */
    const char *cert_path; /* client certificate and key, PEM; NULL: none */
    const char *key_path;
};

struct fetch_request {
    const char *method;       /* "GET" … */
    const char *url;
    const char *content_type; /* of the body; NULL: none */
    const char *bearer;       /* token for Authorization: Bearer; NULL: none */
    const void *body;
    size_t body_len;
    int64_t timeout_ms;       /* whole transfer; 0: none (long transfers rely on stall_s) */
    int stall_s;              /* 0: 30 */
    uint64_t max_bytes;       /* of the response body; 0: 8 MiB */
    /* Streaming: if `sink` is set the body goes there piece by piece instead of into response->body.
     * A non-zero return aborts with the error it filled in. */
    int (*sink)(const void *data, size_t len, void *arg, struct err *err);
    void *sink_arg;
    uint64_t resume_from;     /* sends Range: bytes=N- and fails with CONFLICT unless the answer is 206 from there */
    uint64_t rate_limit;      /* bytes/s; 0: none */
};

struct fetch_response {
    int status;      /* HTTP status; 0 if the transfer failed */
    struct buf body; /* empty if a sink took it */
    struct err err;  /* code ERR_NONE if status is 2xx; else the error: transport, or the server's own JSON error */
};

typedef void fetch_done(const struct fetch_response *response, void *arg);

int fetch_new(const struct fetch_options *options, struct fetch **out, struct err *err) must_check;
void fetch_free(struct fetch *fetch);

/* Everything in `request` but body, sink_arg and strings' contents is copied; strings and body are copied too.
 * Returns an id > 0 for fetch_cancel through out_id (may be NULL). `done` is called once from fetch_poll. */
int fetch_start(struct fetch *fetch, const struct fetch_request *request, fetch_done *done, void *arg, int *out_id,
                struct err *err) must_check;
void fetch_cancel(struct fetch *fetch, int id); /* `done` is not called any more */

/* Waits until a transfer moves, `extra_fd` becomes readable (-1: none) or timeout_ms is over; runs the callbacks. */
int fetch_poll(struct fetch *fetch, int extra_fd, int timeout_ms, struct err *err) must_check;

/* One request, waited for. Fills *response on a 2xx; else returns -1 with the error. Caller: buf_fini(&response->body). */
int fetch_once(struct fetch *fetch, const struct fetch_request *request, struct fetch_response *response,
               struct err *err) must_check;

#endif
