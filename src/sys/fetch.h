/* An HTTPS client that lives in the caller's poll loop (OpenSSL and the parser of sys/http_wire.h).
 *
 *     struct fetch *fetch; fetch_new(&options, &fetch, &err);
 *     fetch_start(fetch, &request, on_done, arg, NULL, &err);  // any number at once
 *     for (;;) fetch_poll(fetch, epoll_fd, 500, &err);         // transfers and the caller's own events, one
 * wait
 *
 *     transfer:  RESOLVE ▶ CONNECT ▶ HANDSHAKE ▶ SEND ▶ HEAD ▶ BODY ▶ done
 *
 * - https only (http only for loopback addresses), no redirects, no proxies, own CA only, host name checked.
 * - A transfer that moves less than 1 byte/s for stall_s seconds fails with TIMEOUT; one that passes
 * max_bytes fails with TOO_BIG and is cut at once.
 * - Up to two idle connections are kept for 30 s. If one turns out to be closed by the server, GET, HEAD, PUT
 * and DELETE are sent again on a new one; POST fails with UNREACHABLE (the server may have acted on it).
 * - Errors: UNREACHABLE (no address, refused, cut), UNTRUSTED (server certificate), DENIED (the server
 * refused our certificate), TIMEOUT, TOO_BIG, INVALID (malformed answer or URL), CONFLICT (resume), else by
 * HTTP status.
 * - SIGPIPE is ignored in the whole process from the first fetch_new on.
 *
 * Not libcurl: Debian's brings thirty libraries along, 11.4 MiB resident in an idle process; this takes 7.0
 * MiB (where agent and guard together may have 12).
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
    const char *ca_path;   /* trust anchor for the server, PEM; NULL: http to loopback addresses only */
    const char *cert_path; /* client certificate and key, PEM; NULL: none */
    const char *key_path;
    const char *fields; /* sent with each request: whole lines, "Name: value\r\n"; NULL: none. Copied */
    /* For machines whose clock may stand: no server certificate is judged by an earlier time than this (Unix seconds; 0: by the clock alone). */
    int64_t clock_floor_s;
    /* Reads the server's own error out of the body of a failed request (wire/api.h: api_error_parse). False
     * or NULL: the error says only the HTTP status. */
    bool (*parse_error)(const void *body, size_t len, struct err *out);
};

struct fetch_request {
    const char *method; /* "GET" … */
    const char *url;
    const char *content_type; /* of the body; NULL: none */
    const char *bearer;       /* token for Authorization: Bearer; NULL: none */
    const void *body;
    size_t body_len;
    int64_t timeout_ms; /* whole transfer; 0: none (long transfers rely on stall_s) */
    int stall_s;        /* 0: 30; long polls need more than the server holds them */
    uint64_t max_bytes; /* of the response body; 0: 8 MiB; with a sink: of what goes there */
    /* Streaming: if `sink` is set the body goes there piece by piece instead of into response->body.
     * A non-zero return aborts with the error it filled in. The body of a failed request never goes there. */
    int (*sink)(const void *data, size_t len, void *arg, struct err *err);
    void *sink_arg;
    uint64_t
        resume_from; /* sends Range: bytes=N- and fails with CONFLICT unless the answer is 206 from there */
    uint64_t rate_limit; /* bytes/s; 0: none */
};

struct fetch_response {
    int status;      /* HTTP status; 0 if the transfer failed */
    struct buf body; /* empty if a sink took it; of an error at most 64 KiB */
    struct err
        err; /* code ERR_NONE if status is 2xx; else the error: transport, or the server's own JSON error */
};

typedef void fetch_done(const struct fetch_response *response, void *arg);

int fetch_new(const struct fetch_options *options, struct fetch **out, struct err *err) must_check;
void fetch_free(struct fetch *fetch);

/* From now on every request that has not begun to be sent goes out with this certificate, key and anchor, on a new connection. What is being sent
 * or answered goes on as it is, on a connection that is not used again. On failure everything is as it was. */
int fetch_use_identity(struct fetch *fetch, const char *ca_path, const char *cert_path, const char *key_path,
                       struct err *err) must_check;
void fetch_raise_clock_floor(struct fetch *fetch, int64_t clock_floor_s); /* never lowers it */

/* All of `request` is copied, strings and body as well.
 * Gives an id > 0 for fetch_cancel through out_id (may be NULL). `done` is called once,
 * from fetch_poll, and may start and cancel others (but not free `fetch`); the response is gone after it. */
int fetch_start(struct fetch *fetch, const struct fetch_request *request, fetch_done *done, void *arg,
                int *out_id, struct err *err) must_check;
/* How often an answer came after a transfer that had none: the server was away and is back. */
uint64_t fetch_recovered(const struct fetch *fetch);
void fetch_cancel(struct fetch *fetch, int id); /* `done` is not called any more */

/* Waits until a transfer moves, `extra_fd` becomes readable (-1: none) or timeout_ms is over; runs the
 * callbacks. */
int fetch_poll(struct fetch *fetch, int extra_fd, int timeout_ms, struct err *err) must_check;

/* One request, waited for; others go on meanwhile. Returns 0 on a 2xx, else -1 with the error. *response is
 * filled in both cases. Caller: buf_fini(&response->body), in both cases. */
int fetch_once(struct fetch *fetch, const struct fetch_request *request, struct fetch_response *response,
               struct err *err) must_check;

#endif
