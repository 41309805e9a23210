/* An HTTP/1.1 server behind handlers that know nothing of the engine (libevent evhttp, OpenSSL bufferevents).
 *
 *     struct http_server *server = http_server_new(base, &options, &err);
 *     http_server_handle(server, HTTP_GET, "/api/v1/robots/:id", get_robot, fleet);
 *
 * - Handlers run in the loop of `base`. A handler answers exactly once: at once, later (long poll: http_hold), or as a
 *   stream (http_stream_*).
 * - A held request is told when its connection goes away (the `gone` callback); after that the handle is dead.
 * - Requests are strict: origin-form targets, one Host, one Content-Length or chunked but not both, header block
 *   ≤ 8 KiB and ≤ 64 fields, body ≤ options.max_body_bytes, deadline per request. What fails is answered 4xx and closed.
 * - TCP_NODELAY is set on the listener (evhttp over TLS is 45 ms per reply without it).
 * - Errors are JSON: {"error": {"code": "not_found", "message": "..."}} with the status of err_http_status.
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
    const char *host;            /* address to bind, e.g. "127.0.0.1" */
    uint16_t port;               /* 0: any free one, see http_server_port */
    struct ssl_ctx_st *tls;      /* NULL: plain HTTP */
    size_t max_body_bytes;       /* 0: 8 MiB */
    int timeout_s;               /* per state of a connection; 0: 60 */
};

typedef void http_handler(struct http_request *request, void *arg);

int http_server_new(struct event_base *base, const struct http_server_options *options, struct http_server **out,
                    struct err *err) must_check;
void http_server_free(struct http_server *server); /* drains: held requests are answered 503 first */
uint16_t http_server_port(const struct http_server *server);

/* Registers a route. Segments that begin with ':' match one segment and are read by http_param. A last segment "*"
 * matches the rest. Routes are tried in the order of registration; no match: 404; path but not method: 405. */
int http_server_handle(struct http_server *server, enum http_method method, const char *pattern,
                       http_handler *handler, void *arg, struct err *err) must_check;

/* Request. Strings live as long as the request. */
enum http_method http_request_method(const struct http_request *request);
const char *http_request_path(const struct http_request *request);                  /* decoded, without the query */
const char *http_param(const struct http_request *request, const char *name);       /* of the pattern; NULL if none */
const char *http_query(const struct http_request *request, const char *name);       /* decoded; NULL if none */
const char *http_header(const struct http_request *request, const char *name);      /* NULL if none */
const uint8_t *http_body(const struct http_request *request, size_t *out_len);
/* Subject common name of the verified client certificate, or NULL. And its serial number as upper-case hex. */
const char *http_client_name(const struct http_request *request);
const char *http_client_serial(const struct http_request *request);

/* Replies. Each ends the request. */
void http_reply(struct http_request *request, int status, const char *content_type, const void *body, size_t len);
void http_reply_json(struct http_request *request, int status, const char *json_text);
void http_reply_error(struct http_request *request, const struct err *err);
void http_set_header(struct http_request *request, const char *name, const char *value); /* before the reply */
/* A file, with single-interval Range (206, 416), If-Range on the ETag, Accept-Ranges. Takes the descriptor. */
void http_reply_file(struct http_request *request, int fd, uint64_t size, const char *content_type, const char *etag);

/* Keeps the request open; `gone(arg)` is called if the peer hangs up before a reply. NULL: no interest any more. */
void http_hold(struct http_request *request, void (*gone)(struct http_request *request, void *arg), void *arg);

/* Event streams (text/event-stream) and other endless bodies. */
void http_stream_start(struct http_request *request, int status, const char *content_type);
void http_stream_write(struct http_request *request, const void *data, size_t len);
void http_stream_end(struct http_request *request);

#endif
