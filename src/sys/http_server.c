#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/http_engine.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

enum { BACKLOG = 512, DEFAULT_BODY_BYTES = 8 << 20, DEFAULT_TIMEOUT_S = 60 };

/* ---- methods ---- */

static const char *const method_names[HTTP_METHODS] = {"GET", "HEAD", "POST", "PUT", "DELETE"};

bool http_method_parse(const char *name, enum http_method *out)
{
    for (int i = 0; i < HTTP_METHODS; i++) {
        if (strcmp(name, method_names[i]) == 0) {
            *out = (enum http_method)i;
            return true;
        }
    }
    return false;
}

/* ---- routes ---- */

int http_segments_init(struct http_segments *out, const char *path, struct err *err)
{
    *out = (struct http_segments){.text = mem_strdup(path)};
    if (!out->text)
        return err_no_memory(err);
    for (char *at = out->text; at;) {
        *at++ = 0;
        if (out->count == HTTP_MAX_SEGMENTS)
            return err_set(err, ERR_TOO_BIG, "a path of more than %d segments", HTTP_MAX_SEGMENTS);
        out->items[out->count++] = at;
        at = strchr(at, '/');
    }
    return 0;
}

void http_segments_fini(struct http_segments *segments)
{
    free(segments->text);
    *segments = (struct http_segments){0};
}

static void route_free(struct http_route *route)
{
    http_segments_fini(&route->pattern);
    free(route);
}
MUSTER_CLEANUP(struct http_route *, route_free)
#define cleanup_route __attribute__((cleanup(route_freep)))

int http_server_handle(struct http_server *server, enum http_method method, const char *pattern,
                       http_handler *handler, void *arg, struct err *err)
{
    cleanup_route struct http_route *route = mem_zalloc(1, sizeof *route);
    if (!route)
        return err_no_memory(err);
    if (pattern[0] != '/')
        return err_set(err, ERR_INVALID, "route '%.60s' does not begin with '/'", pattern);
    if (http_segments_init(&route->pattern, pattern, err) < 0)
        return -1;
    size_t params = 0;
    for (size_t i = 0; i < route->pattern.count; i++)
        params += route->pattern.items[i][0] == ':' || route->pattern.items[i][0] == '*';
    if (params > HTTP_MAX_PARAMS)
        return err_set(err, ERR_TOO_BIG, "route '%.60s' has more than %d parameters", pattern,
                       HTTP_MAX_PARAMS);
    route->method = method;
    route->handler = handler;
    route->arg = arg;
    STAILQ_INSERT_TAIL(&server->routes, route, next);
    route = NULL;
    return 0;
}

static void add_param(struct http_request *request, const char *name, const char *value)
{
    request->params[request->param_count].name = name;
    request->params[request->param_count++].value = value;
}

/* Fills the request's parameters if the pattern fits its path. */
static bool match(const struct http_segments *pattern, struct http_request *request)
{
    const struct http_segments *path = &request->segments;
    request->param_count = 0;
    for (size_t i = 0; i < pattern->count; i++) {
        const char *want = pattern->items[i];
        if (strcmp(want, "*") == 0 && i + 1 == pattern->count) {
            size_t skipped = i < path->count ? (size_t)(path->items[i] - path->text) : strlen(request->path);
            add_param(request, "*", request->path + skipped);
            return i < path->count;
        }
        if (i >= path->count)
            return false;
        if (want[0] == ':' && path->items[i][0])
            add_param(request, want + 1, path->items[i]);
        else if (strcmp(want, path->items[i]) != 0)
            return false;
    }
    return pattern->count == path->count;
}

static struct http_route *find_route(struct http_server *server, struct http_request *request,
                                     enum http_method method)
{
    struct http_route *route;
    STAILQ_FOREACH(route, &server->routes, next)
    {
        if (route->method == method && match(&route->pattern, request))
            return route;
    }
    return NULL;
}

static void reply_no_route(struct http_server *server, struct http_request *request)
{
    struct err err;
    char allowed[64] = "";
    for (int i = 0; i < HTTP_METHODS; i++) {
        size_t used = strlen(allowed);
        if (find_route(server, request, (enum http_method)i))
            snprintf(allowed + used, sizeof allowed - used, "%s%s", used ? ", " : "", method_names[i]);
    }
    if (!allowed[0]) {
        err_set(&err, ERR_NOT_FOUND, "there is nothing at %.150s", request->path);
        http_reply_error(request, &err);
        return;
    }
    err_set(&err, ERR_INVALID, "%.150s does not take %s, only %s", request->path, request->head.method,
            allowed);
    cleanup_free char *body = http_error_json(&err);
    http_set_header(request, "Allow", allowed);
    http_reply_json(request, 405, body ? body : "{}");
}

void http_server_dispatch(struct http_server *server, struct http_request *request, bool known_method)
{
    struct http_route *route = NULL;
    if (known_method) {
        route = find_route(server, request, request->method);
        if (!route && request->method == HTTP_HEAD)
            route = find_route(server, request, HTTP_GET);
    }
    if (!route) {
        reply_no_route(server, request);
        return;
    }
    route->handler(request, route->arg);
}

/* ---- listening ---- */

static void accept_conn(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                        int len, void *arg)
{
    http_conn_open(arg, fd);
}

static void accept_again(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *server = arg;
    evconnlistener_enable(server->listener);
}

/* Out of descriptors: without a pause the loop would spin until one is free. */
static void accept_failed(struct evconnlistener *listener, void *arg)
{
    struct http_server *server = arg;
    static const struct timeval pause = {.tv_usec = 100000};
    log_warn("cannot accept connections: %s", strerror(EVUTIL_SOCKET_ERROR()));
    evconnlistener_disable(listener);
    evtimer_add(server->accept_again, &pause);
}

static int resolve(const char *host, uint16_t port, struct addrinfo **out, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    int rc = getaddrinfo(host, service, &hints, out);
    return rc == 0 ? 0 : err_set(err, ERR_INVALID, "cannot listen on %s: %s", host, gai_strerror(rc));
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static int start_listening(struct http_server *server, const char *host, uint16_t port, struct err *err)
{
    struct addrinfo *address;
    if (resolve(host, port, &address, err) < 0)
        return -1;
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
    errno = 0;
    server->listener = evconnlistener_new_bind(server->base, accept_conn, server, flags, BACKLOG,
                                               address->ai_addr, (int)address->ai_addrlen);
    freeaddrinfo(address);
    if (!server->listener && errno == EADDRINUSE)
        return err_set(err, ERR_BUSY, "cannot listen on %s:%u: the port is in use; choose another", host,
                       port);
    if (!server->listener)
        return err_errno(err, "cannot listen on %s:%u", host, port);
    int fd = evconnlistener_get_fd(server->listener), yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* inherited by what it accepts */
    evconnlistener_set_error_cb(server->listener, accept_failed);
    server->port = port_of(fd);
    return 0;
}

int http_server_new(struct event_base *base, const struct http_server_options *options,
                    struct http_server **out, struct err *err)
{
    struct http_server *server = mem_zalloc(1, sizeof *server);
    if (!server)
        return err_no_memory(err);
    server->base = base;
    server->tls = options->tls;
    server->max_body_bytes = options->max_body_bytes ? options->max_body_bytes : DEFAULT_BODY_BYTES;
    server->timeout_s = options->timeout_s ? options->timeout_s : DEFAULT_TIMEOUT_S;
    STAILQ_INIT(&server->routes);
    LIST_INIT(&server->conns);
    signal(SIGPIPE, SIG_IGN);
    server->accept_again = evtimer_new(base, accept_again, server);
    int rc = server->accept_again ? start_listening(server, options->host, options->port, err)
                                  : err_no_memory(err);
    if (rc < 0) {
        http_server_free(server);
        return -1;
    }
    *out = server;
    return 0;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

/* ---- draining ---- */

/* A held request gets a 503, a stream its end. Its holder hears of it by `gone`, or may answer a request
 * later that has no connection any more. */
static void end_request(struct http_conn *conn)
{
    static const struct err closing = {.code = ERR_BUSY, .text = "the server is shutting down; try again"};
    if (conn->request->state == REQUEST_HELD)
        http_conn_write_error(conn, 503, &closing);
    else if (conn->request->state == REQUEST_STREAMING)
        evbuffer_add_printf(bufferevent_get_output(conn->bev), "0\r\n\r\n");
}

/* Writes what the socket takes at once, past the loop, which may never run again. */
static void flush(struct http_conn *conn)
{
    struct evbuffer *output = bufferevent_get_output(conn->bev);
    int len = (int)evbuffer_get_length(output);
    const unsigned char *bytes = evbuffer_pullup(output, -1);
    SSL *ssl = bufferevent_openssl_get_ssl(conn->bev);
    if (len <= 0 || !bytes)
        return;
    if (ssl)
        SSL_write(ssl, bytes, len);
    else
        send(bufferevent_getfd(conn->bev), bytes, (size_t)len, MSG_NOSIGNAL);
}

static void drain(struct http_conn *conn)
{
    if (conn->request)
        end_request(conn);
    flush(conn);
    http_conn_free(conn);
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    server->draining = true;
    if (server->listener)
        evconnlistener_free(server->listener);
    for (struct http_conn *conn; (conn = LIST_FIRST(&server->conns));)
        drain(conn);
    for (struct http_route *route; (route = STAILQ_FIRST(&server->routes));) {
        STAILQ_REMOVE_HEAD(&server->routes, next);
        route_free(route);
    }
    if (server->accept_again)
        event_free(server->accept_again);
    free(server);
}

void http_base_free(struct event_base *base)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
}
