#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/api/api.h"
#include "fleet/authority/authority.h"
#include "fleet/core/fleet.h"
#include "fleet/engine/engine.h"
#include "fleet/server/notify.h"
#include "fleet/server/server.h"
#include "sys/file.h"
#include "sys/http.h"
#include "sys/tls.h"

#include <event2/event.h>
#include <signal.h>

enum { DRAIN_MS = 200, LISTENERS = 3, CLIENT_TIMEOUT_S = 90 /* longer than a long poll */ };
enum { MAX_CERTIFICATE_HOURS = 24 * 825, MAX_GRACE_DAYS = 365, MAX_METADATA_DAYS = 365 };

struct server {
    struct event_base *base;
    struct fleet *fleet;
    struct api *api;
    struct engine *engine;
    int lock_fd;
    struct ssl_ctx_st *robot_tls, *operator_tls;
    struct http_server *listeners[LISTENERS]; /* robot, operator, console */
    struct event *on_term, *on_int, *drained, *watchdog;
    bool draining;
};

static const char *const listener_names[LISTENERS] = {"robot", "operator", "console"};

static void on_drained(evutil_socket_t fd, short what, void *arg)
{
    event_base_loopbreak(((struct server *)arg)->base);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct server *server = arg;
    struct err err = {0};
    if (server->draining)
        return;
    server->draining = true;
    log_info("stopping");
    notify_send("STOPPING=1");
    api_drain(server->api);
    if (group_flush(server->fleet->group, &err) < 0)
        log_error("last commit: %s", err.text);
    struct timeval wait = {.tv_usec = DRAIN_MS * 1000};
    event_add(server->drained, &wait);
}

/* Fed only while the database answers: a hung server is to be restarted. */
static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;
    struct err err = {0};
    int64_t number;
    if (server->fleet->store->ops->number_get(server->fleet->store, "alive_ms", &number, &err) == 0)
        notify_send("WATCHDOG=1");
    else
        log_error("health: %s", err.text);
}

static int make_tls(struct server *server, struct err *err)
{
    cleanup_free char *cert = fleet_path(server->fleet, "server.pem"),
                      *key = fleet_path(server->fleet, "server.key");
    cleanup_free char *ca = fleet_path(server->fleet, "ca.pem");
    if (!cert || !key || !ca)
        return err_no_memory(err);
    if (tls_server_context(cert, key, ca, &server->robot_tls, err) < 0 ||
        tls_server_allow_expired(server->robot_tls, server->fleet->grace_s, err) < 0)
        return -1;
    return tls_server_context(cert, key, NULL, &server->operator_tls, err);
}

static int listen_on(struct server *server, int index, const char *text, struct ssl_ctx_st *tls,
                     struct err *err)
{
    struct listen_address address;
    if (listen_address_parse(text, &address, err) < 0)
        return err_prefix(err, "--%s-listen", listener_names[index]);
    if (!tls && !listen_address_is_loopback(&address))
        return err_set(err, ERR_REFUSED,
                       "--console-listen %s: the console is plain HTTP and binds 127.0.0.1 or ::1 only",
                       text);
    struct http_server_options options = {
        .host = address.host, .port = address.port, .tls = tls, .timeout_s = CLIENT_TIMEOUT_S};
    if (http_server_new(server->base, &options, &server->listeners[index], err) < 0)
        return err_prefix(err, "--%s-listen %s", listener_names[index], text);
    return index == 0 ? api_serve_robots(server->api, server->listeners[index], err)
                      : api_serve_operators(server->api, server->listeners[index], err);
}

static int listen_all(struct server *server, const struct server_options *options, struct err *err)
{
    if (listen_on(server, 0, options->robot_listen, server->robot_tls, err) < 0 ||
        listen_on(server, 1, options->operator_listen, server->operator_tls, err) < 0)
        return -1;
    return options->console_listen[0] ? listen_on(server, 2, options->console_listen, NULL, err) : 0;
}

static uint16_t port_of(const struct server *server, int index)
{
    return server->listeners[index] ? http_server_port(server->listeners[index]) : 0;
}

static int tell_ports(const struct server *server, const struct server_options *options, struct err *err)
{
    char text[128];
    int len = snprintf(text, sizeof text, "{\"robot\":%u,\"operator\":%u,\"console\":%u}\n",
                       port_of(server, 0), port_of(server, 1), port_of(server, 2));
    log_info("robots on port %u, operators on %u, console on %u", port_of(server, 0), port_of(server, 1),
             port_of(server, 2));
    return options->ports_file[0] ? file_replace(options->ports_file, text, (size_t)len, 0644, err) : 0;
}

static int make_events(struct server *server, struct err *err)
{
    server->on_term = evsignal_new(server->base, SIGTERM, on_signal, server);
    server->on_int = evsignal_new(server->base, SIGINT, on_signal, server);
    server->drained = evtimer_new(server->base, on_drained, server);
    server->watchdog = event_new(server->base, -1, EV_PERSIST, on_watchdog, server);
    if (!server->on_term || !server->on_int || !server->drained || !server->watchdog)
        return err_no_memory(err);
    event_add(server->on_term, NULL);
    event_add(server->on_int, NULL);
    int64_t period_ms = notify_watchdog_ms();
    struct timeval period = {.tv_sec = period_ms / 1000, .tv_usec = period_ms % 1000 * 1000};
    if (period_ms > 0)
        event_add(server->watchdog, &period);
    return 0;
}

static int lock_dir(struct server *server, const char *dir, struct err *err)
{
    cleanup_free char *path = file_join(dir, "lock");
    if (!path)
        return err_no_memory(err);
    if (!file_exists(dir))
        return err_set(err, ERR_NOT_FOUND, "%s does not exist; make it with musterd init --dir %s", dir, dir);
    if (file_lock(path, &server->lock_fd, err) == 0)
        return 0;
    return err->code == ERR_BUSY ? err_set(err, ERR_BUSY, "another musterd serves %s; stop it first", dir)
                                 : -1;
}

/* "24", "0.5" of a unit, as seconds. */
static int parse_period(const char *flag, const char *text, double unit_s, double max, int64_t *out_s,
                        struct err *err)
{
    double number;
    if (!str_to_double(text, &number) || !(number >= 0) || number > max)
        return err_set(err, ERR_USAGE, "--%s wants a number from 0 to %g", flag, max);
    *out_s = (int64_t)(number * unit_s);
    return 0;
}

static int parse_identity(const struct server_options *options, struct fleet_options *out, struct err *err)
{
    if (parse_period("certificate-hours", options->certificate_hours, 3600, MAX_CERTIFICATE_HOURS,
                     &out->certificate_s, err) < 0 ||
        parse_period("renew-grace-days", options->renew_grace_days, 86400, MAX_GRACE_DAYS, &out->grace_s,
                     err) < 0)
        return -1;
    if (out->certificate_s < 1)
        return err_set(err, ERR_USAGE, "--certificate-hours: a certificate must be good for some time");
    return 0;
}

static int parse_trust(const struct server_options *options, struct fleet_options *out, struct err *err)
{
    if (parse_period("timestamp-hours", options->timestamp_hours, 3600, 24 * MAX_METADATA_DAYS,
                     &out->timestamp_valid_s, err) < 0 ||
        parse_period("snapshot-days", options->snapshot_days, 86400, MAX_METADATA_DAYS,
                     &out->snapshot_valid_s, err) < 0 ||
        parse_period("assignment-days", options->assignment_days, 86400, MAX_METADATA_DAYS,
                     &out->assignment_valid_s, err) < 0)
        return -1;
    if (out->timestamp_valid_s < 2 || out->snapshot_valid_s < 2 || out->assignment_valid_s < 2)
        return err_set(err, ERR_USAGE, "timestamps, snapshots and assignments must be good for some seconds");
    return 0;
}

static int parse_remote(const struct server_options *options, struct fleet_options *out, struct err *err)
{
    bool plain = str_starts(options->remote_write, "http://");
    if (!options->remote_write[0])
        return 0;
    if (!plain && !str_starts(options->remote_write, "https://"))
        return err_set(err, ERR_USAGE, "--remote-write wants https://…, or http:// of this machine");
    if (!plain && !options->remote_write_ca[0])
        return err_set(
            err, ERR_USAGE,
            "--remote-write with https wants --remote-write-ca: whom the receiver's certificate is from");
    out->remote_url = options->remote_write;
    out->remote_ca = plain ? NULL : options->remote_write_ca;
    out->remote_token = options->remote_write_token_file[0] ? options->remote_write_token_file : NULL;
    return 0;
}

static int start(struct server *server, const struct server_options *options, struct err *err)
{
    uint64_t max_blob_mib;
    if (!str_to_u64(options->max_blob_mib, &max_blob_mib) || !max_blob_mib || max_blob_mib > MAX_BLOB_MIB)
        return err_set(err, ERR_USAGE, "--max-blob-mib wants a number from 1 to %d", MAX_BLOB_MIB);
    struct fleet_options fleet = {.dir = options->dir,
                                  .operators = options->operators[0] ? options->operators : NULL,
                                  .root = options->root[0] ? options->root : NULL,
                                  .max_blob_bytes = max_blob_mib << 20};
    if (parse_remote(options, &fleet, err) < 0)
        return -1;
    if (parse_identity(options, &fleet, err) < 0 || parse_trust(options, &fleet, err) < 0)
        return -1;
    if (lock_dir(server, options->dir, err) < 0)
        return -1;
    server->base = event_base_new();
    if (!server->base)
        return err_no_memory(err);
    if (fleet_open(server->base, &fleet, &server->fleet, err) < 0 ||
        api_new(server->fleet, &server->api, err) < 0 || make_tls(server, err) < 0 ||
        listen_all(server, options, err) < 0 || make_events(server, err) < 0 ||
        engine_start(server->fleet, &server->engine, err) < 0)
        return -1;
    if (!authority_root(server->fleet->authority))
        log_warn("no root of trust: no release is accepted; start with --root root.json (muster keys init "
                 "makes it)");
    return tell_ports(server, options, err);
}

static void free_event(struct event *event)
{
    if (event)
        event_free(event);
}

static void stop(struct server *server)
{
    for (int i = 0; i < LISTENERS; i++)
        if (server->listeners[i])
            http_server_free(server->listeners[i]);
    engine_stop(server->engine);
    api_free(server->api);
    fleet_close(server->fleet);
    free_event(server->on_term);
    free_event(server->on_int);
    free_event(server->drained);
    free_event(server->watchdog);
    if (server->robot_tls)
        tls_context_free(server->robot_tls);
    if (server->operator_tls)
        tls_context_free(server->operator_tls);
    if (server->base)
        http_base_free(server->base);
    if (server->lock_fd >= 0)
        close(server->lock_fd);
}

int server_serve(const struct server_options *options, struct err *err)
{
    struct server server = {.lock_fd = -1};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of the write, not a death */
    int rc = start(&server, options, err);
    if (rc == 0) {
        notify_send("READY=1");
        event_base_dispatch(server.base);
    }
    stop(&server);
    return rc;
}
