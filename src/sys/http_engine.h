/* Inside of the HTTP server: what http_server.c, http_conn.c and http_reply.c share. */
#ifndef MUSTER_SYS_HTTP_ENGINE_H
#define MUSTER_SYS_HTTP_ENGINE_H

#include "base/buf.h"
#include "sys/http.h"
#include "sys/http_wire.h"

#include <sys/queue.h>

struct bufferevent;
struct event;
struct evconnlistener;

enum { HTTP_MAX_PARAMS = 8, HTTP_MAX_SEGMENTS = 24, HTTP_METHODS = HTTP_DELETE + 1 };

/* A path cut at its slashes. */
struct http_segments {
    char *text; /* owned; slashes replaced by NUL */
    size_t count;
    const char *items[HTTP_MAX_SEGMENTS];
};
int http_segments_init(struct http_segments *out, const char *path, struct err *err) must_check; /* TOO_BIG */
void http_segments_fini(struct http_segments *segments);

struct http_route {
    STAILQ_ENTRY(http_route) next;
    enum http_method method;
    struct http_segments pattern;
    http_handler *handler;
    void *arg;
};

struct http_server {
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *accept_again; /* after the process ran out of descriptors */
    struct ssl_ctx_st *tls;
    uint16_t port;
    size_t max_body_bytes;
    int timeout_s;
    bool draining;
    STAILQ_HEAD(, http_route) routes;
    LIST_HEAD(, http_conn) conns;
};

enum http_request_state {
    REQUEST_NEW,       /* in its handler */
    REQUEST_HELD,      /* answer comes later */
    REQUEST_STREAMING, /* answer is under way */
    REQUEST_ANSWERED,  /* must not be touched by handlers any more */
};

struct http_request {
    struct http_conn *conn; /* NULL: the peer has gone, the answer goes nowhere */
    enum http_request_state state;
    enum http_method method;
    struct http_head head;
    char *path, *query;
    struct http_segments segments;
    size_t param_count;
    struct {
        const char *name, *value;
    } params[HTTP_MAX_PARAMS];
    struct buf body;
    struct buf extra_fields;          /* of the answer */
    STAILQ_HEAD(, http_value) values; /* decoded query values, kept for http_query's callers */
    void (*gone)(struct http_request *request, void *arg);
    void *gone_arg;
};

struct http_value {
    STAILQ_ENTRY(http_value) next;
    char *text;
};

enum http_conn_state { CONN_HEAD, CONN_BODY, CONN_WORK, CONN_WRITE, CONN_LINGER };

struct http_conn {
    LIST_ENTRY(http_conn) link;
    struct http_server *server;
    struct bufferevent *bev;
    struct event *deadline;
    enum http_conn_state state;
    bool close_after; /* this answer is the last */
    bool linger; /* and the peer may still be sending: read it away, else a reset would overtake the answer */
    bool broken; /* to be freed from the loop, not from within a handler */
    uint64_t written, written_before; /* bytes the peer took; as of the last look at it */
    struct http_request *request;     /* from the head on until the answer is written */
    struct http_chunks chunks;        /* of the request body */
    uint64_t body_left;
    int file_fd; /* being sent; -1: none */
    uint64_t file_left;
    bool client_known;
    char *client_name, *client_serial;
    int64_t client_until_s;
    int64_t told_ns; /* see http_client_told_ns */
    uint64_t mark;
    char client_address[64]; /* "": not looked up yet */
};

/* http_conn.c */
void http_conn_open(struct http_server *server, int fd); /* takes the descriptor */
void http_conn_free(struct http_conn *conn);             /* tells a held request */
void http_conn_answered(struct http_conn *conn); /* all of the answer is in the output buffer or in file_fd */
void http_conn_break(struct http_conn *conn);    /* frees it from the loop */
void http_conn_watch_writing(
    struct http_conn *conn);                      /* from now on the peer must take bytes, or is cut off */
bool http_conn_pump_file(struct http_conn *conn); /* next piece of file_fd to the output; false: unreadable */
void http_request_free(struct http_request *request);

/* http_identity.c: fills client_name, client_serial and client_until_s. */
void http_conn_identify(struct http_conn *conn);

/* http_reply.c: an answer for a connection that has no request (malformed) or is being drained. */
void http_conn_write_error(struct http_conn *conn, int status, const struct err *error);

/* http_server.c: finds the route and calls the handler, or answers 404 or 405. */
void http_server_dispatch(struct http_server *server, struct http_request *request, bool known_method);

/* "GET" → HTTP_GET; false if it is none that we know. */
bool http_method_parse(const char *name, enum http_method *out);

#endif
