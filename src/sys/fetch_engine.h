/* Inside of the HTTPS client: what fetch*.c share. */
#ifndef MUSTER_SYS_FETCH_ENGINE_H
#define MUSTER_SYS_FETCH_ENGINE_H

#include "sys/fetch.h"
#include "sys/http_wire.h"

#include <poll.h>
#include <sys/queue.h>

struct addrinfo;
struct ssl_st;
struct ssl_ctx_st;

/* ---- fetch_url.c ---- */

enum { FETCH_HOST_SIZE = 254, FETCH_ORIGIN_SIZE = 280 };

/* https://host:port/target */
struct fetch_url {
    bool tls;
    char host[FETCH_HOST_SIZE]; /* without brackets */
    char port[6];
    char origin[FETCH_ORIGIN_SIZE];    /* "https://host:port": one of these, one pool of connections */
    char authority[FETCH_ORIGIN_SIZE]; /* for Host and for error lines */
    const char *target;                /* into the text parsed */
};
int fetch_url_parse(const char *text, struct fetch_url *out, struct err *err) must_check;

/* Head and body of a request as they go over the wire. */
int fetch_request_format(const struct fetch_request *request, const struct fetch_url *url, const char *fields,
                         struct buf *out, struct err *err) must_check; /* fields: as in fetch_options */

/* ---- fetch_resolve.c: names to addresses, in a thread, because getaddrinfo blocks ---- */

struct fetch_resolve;
int fetch_resolve_start(const char *host, const char *port, struct fetch_resolve **out,
                        struct err *err) must_check;
int fetch_resolve_fd(const struct fetch_resolve *resolve); /* readable when done */
/* 1: *out is set (freeaddrinfo it); 0: not yet; -1: UNREACHABLE. */
int fetch_resolve_result(struct fetch_resolve *resolve, struct addrinfo **out, struct err *err) must_check;
void fetch_resolve_free(struct fetch_resolve *resolve); /* also while it runs */

/* Addresses of a host that is an address itself; NULL if it is a name. */
struct addrinfo *fetch_numeric_address(const char *host, const char *port);

/* ---- fetch_link.c: one connection, never blocking ---- */

enum link_result { LINK_OK, LINK_AGAIN /* wait for link->want */, LINK_EOF, LINK_FAILED };

struct fetch_link {
    TAILQ_ENTRY(fetch_link) next; /* while idle */
    int fd;
    struct ssl_st *ssl; /* NULL: plain */
    short want;         /* POLLIN or POLLOUT after LINK_AGAIN */
    bool used_before;
    unsigned identity; /* as of struct fetch when it was made */
    char origin[FETCH_ORIGIN_SIZE];
    int64_t idle_since_ms;
};
int fetch_link_open(const struct addrinfo *address, const struct fetch_url *url, struct fetch_link **out,
                    struct err *err) must_check;
enum link_result fetch_link_connect(struct fetch_link *link, const struct fetch_url *url, struct err *err);
int fetch_link_secure(struct fetch_link *link, const struct fetch *fetch, const struct fetch_url *url,
                      struct err *err) must_check;
enum link_result fetch_link_handshake(struct fetch_link *link, const struct fetch_url *url, struct err *err);
enum link_result fetch_link_read(struct fetch_link *link, void *out, size_t size, size_t *out_len,
                                 struct err *err);
enum link_result fetch_link_write(struct fetch_link *link, const void *data, size_t len, size_t *out_len,
                                  struct err *err);
bool fetch_link_is_quiet(const struct fetch_link *link); /* open, and nothing has come in */
void fetch_link_free(struct fetch_link *link);

/* ---- fetch_transfer.c ---- */

enum transfer_state {
    FETCH_RESOLVE,
    FETCH_CONNECT,
    FETCH_HANDSHAKE,
    FETCH_SEND,
    FETCH_HEAD,
    FETCH_BODY,
    FETCH_DONE
};

struct fetch_transfer {
    TAILQ_ENTRY(fetch_transfer) next;
    struct fetch *fetch;
    int id;
    enum transfer_state state;
    bool cancelled;
    char *url_text;
    struct fetch_url url;
    char method[8];
    struct buf out; /* the request; `sent` bytes of it are out */
    size_t sent;
    int (*sink)(const void *data, size_t len, void *arg, struct err *err);
    void *sink_arg;
    uint64_t resume_from, rate_limit, max_bytes;
    fetch_done *done;
    void *arg;

    struct fetch_resolve *resolve;
    struct addrinfo *addresses, *address; /* all, and the one that is tried */
    struct fetch_link *link;
    struct buf in; /* come in, not eaten */
    struct http_head head;
    struct http_chunks chunks;
    uint64_t body_left, received;
    struct fetch_response response;

    int stall_s;
    int64_t window_start_ms; /* stall detection: bytes moved since then */
    uint64_t window_bytes;
    int64_t deadline_ms; /* of all; 0: none */
    int64_t connect_until_ms;
    int64_t body_start_ms; /* for the rate limit */
    bool runnable;         /* step it without waiting */
};
void fetch_transfer_free(struct fetch_transfer *transfer);
void fetch_transfer_step(struct fetch_transfer *transfer, int64_t now_ms);
/* What to wait for: fills *out (fd -1: nothing) and gives the time of the next step at the latest. */
int64_t fetch_transfer_wait(const struct fetch_transfer *transfer, int64_t now_ms, struct pollfd *out);

/* ---- fetch.c ---- */

enum { FETCH_PIECE_BYTES = 16 * 1024 };

struct fetch {
    struct ssl_ctx_st *ctx;
    unsigned identity; /* grows with each exchange of ctx */
    int64_t clock_floor_s;
    char *fields;
    bool (*parse_error)(const void *body, size_t len, struct err *out);
    int last_id;
    bool cut_off;       /* the last transfer that ended had no answer */
    uint64_t recovered; /* see fetch.h */
    TAILQ_HEAD(, fetch_transfer) transfers;
    TAILQ_HEAD(, fetch_link) idle;
    size_t idle_count;
    struct pollfd *polls;
    size_t poll_space;
    uint8_t piece[FETCH_PIECE_BYTES];
};
struct fetch_link *fetch_take_idle(struct fetch *fetch, const char *origin); /* NULL: none */
void fetch_keep_idle(struct fetch *fetch, struct fetch_link *link);          /* takes it */

#endif
