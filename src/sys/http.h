/* An HTTP/1.1 server behind handlers that know nothing of the engine (libevent bufferevents, OpenSSL,
 * sys/http_wire.h).
 *
 *     struct http_server *server; http_server_new(base, &options, &server, &err);
 *     http_server_handle(server, HTTP_GET, "/api/v1/robots/:id", get_robot, fleet, &err);
 *
 *     connection:  HEAD ──▶ BODY ──▶ WORK ──▶ WRITE ──▶ HEAD …        (strictly one request after the other)
 *                    │ malformed, too big, too late: 4xx, then closed
 *
 * - Handlers run in the loop of `base`, and everything here belongs to that loop's thread. A handler answers
 * exactly once: at once, later (long poll: http_hold), or as a stream (http_stream_*). One that returns with
 * none of these is answered 500, and logged. A second answer asserts.
 * - After its answer a request is dead: do not touch it.
 * - A held request or a stream whose peer goes away: if it has a `gone` callback that is called, and after it
 * the handle is dead. If it has none the handle stays valid, and its answer goes nowhere.
 * - Requests are strict (sys/http_wire.h): origin-form targets, one Host, one Content-Length or chunked but
 * not both, header block ≤ 8 KiB and ≤ 64 fields, body ≤ options.max_body_bytes, deadline per state. What
 * fails is answered 4xx and closed.
 * - Errors are JSON, those of this engine as well: {"error": {"code": "not_found", "message": "..."}}.
 * - TCP_NODELAY is set on the listener (small TLS records would wait 40 ms for a delayed ACK otherwise).
 * - SIGPIPE is ignored in the whole process from the first server on.
 */
#ifndef MUSTER_SYS_HTTP_H
#define MUSTER_SYS_HTTP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct ssl_ctx_st;
struct http_server;
struct http_request;

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE };

struct http_server_options {
    const char *host;       /* address to bind, e.g. "127.0.0.1" */
    uint16_t port;          /* 0: any free one, see http_server_port */
    struct ssl_ctx_st *tls; /* NULL: plain HTTP; must live as long as the server */
    size_t max_body_bytes;  /* 0: 8 MiB */
    /* 0: 60. Time for a whole head (also for the handshake, and idle between requests); for a body on top of
     * one second per 16 KiB; and for the peer to take any byte of an answer. */
    int timeout_s;
};

typedef void http_handler(struct http_request *request, void *arg);

int http_server_new(struct event_base *base, const struct http_server_options *options,
                    struct http_server **out, struct err *err) must_check;
/* Drains: streams are ended, held requests are answered 503 and told by their `gone`. */
void http_server_free(struct http_server *server);
/* Frees the base of servers when they and all other users of it are gone. What the loop has still to call for a
 * TLS connection holds the connection, so event_base_free alone would forget it. */
void http_base_free(struct event_base *base);
uint16_t http_server_port(const struct http_server *server);

/* Registers a route. Segments that begin with ':' match one segment that is not empty and are read by
 * http_param. A last segment "*" matches the rest. Routes are tried in the order of registration; no match:
 * 404; path but not method: 405. HEAD goes to the handler of GET where it has none of its own; a body is
 * never sent for it. */
int http_server_handle(struct http_server *server, enum http_method method, const char *pattern,
                       http_handler *handler, void *arg, struct err *err) must_check;

/* Request. Strings live as long as the request. */
const char *http_request_path(const struct http_request *request); /* decoded, without the query */
const char *http_param(const struct http_request *request,
                       const char *name); /* of the pattern ("*": the rest); NULL if none */
const char *http_query(struct http_request *request, const char *name);        /* decoded; NULL if none */
const char *http_header(const struct http_request *request, const char *name); /* any case; NULL if none */
const uint8_t *http_body(const struct http_request *request,
                         size_t *out_len); /* never NULL; a 0 follows the last byte */
/* Subject common name of the verified client certificate, or NULL. And its serial number as upper-case hex.
 */
const char *http_client_name(const struct http_request *request);
const char *http_client_serial(const struct http_request *request);
/* When that certificate ends, Unix seconds; 0 without one. It may be over: tls_server_allow_expired, and connections outlive certificates. */
int64_t http_client_until_s(const struct http_request *request);

/* The monotonic time (ns) of the last word that the peer must have had from us before it made this request: of the answer before on this
 * connection, or the moment in which the connection was accepted (over TLS no request comes without an answer to our part of the handshake;
 * over plain TCP this means nothing). So: whoever asks was alive after that moment. Peers that send a request before they have the answer to
 * the one before (pipelining) would spoil it; ours never do. */
int64_t http_client_told_ns(const struct http_request *request);

/* A number for the connection on which this request came, for http_server_cut. */
void http_client_mark(struct http_request *request, uint64_t mark);
/* Ends the connections of the client with that common name (mark 0: all; else those with this mark): at once where nothing is asked or a file is
 * being sent, else with the answer that is due. */
void http_server_cut(struct http_server *server, const char *client_name, uint64_t mark);

/* Where the connection comes from: "10.0.0.7", "2001:db8::1"; "" if it has gone. */
const char *http_client_address(const struct http_request *request);

/* Replies. Each ends the request. */
void http_reply(struct http_request *request, int status, const char *content_type, const void *body,
                size_t len);
void http_reply_json(struct http_request *request, int status, const char *json_text);
void http_reply_error(struct http_request *request, const struct err *err);
/* Before the reply, or before http_stream_start. Line breaks in `value` become blanks. */
void http_set_header(struct http_request *request, const char *name, const char *value);
/* A file, with single-interval Range (206, 416), If-Range on the ETag, Accept-Ranges. Takes the descriptor.
 */
void http_reply_file(struct http_request *request, int fd, uint64_t size, const char *content_type,
                     const char *etag);

/* Keeps the request open; `gone(arg)` is called if the peer hangs up before a reply. NULL: no interest any
 * more. */
void http_hold(struct http_request *request, void (*gone)(struct http_request *request, void *arg),
               void *arg);

/* Event streams (text/event-stream) and other endless bodies. A peer that does not keep up (1 MiB unsent) is
 * cut off: its `gone` is called soon after, from the loop. */
void http_stream_start(struct http_request *request, int status, const char *content_type);
void http_stream_write(struct http_request *request, const void *data, size_t len);
void http_stream_end(struct http_request *request);

#endif
