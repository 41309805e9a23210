/* From a request to its handler: who is it, may they, then the handler between enter and leave. */
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "wire/api.h"

#include <assert.h>
#include <event2/event.h>

/* Wrong tokens of an address; requests of an operator, so high that a push of a large release does not notice; what a robot writes, so high
 * that one which has much to tell after a long time does not; certificates that it asks for, each of which goes on record. */
enum { GUESSES_PER_MINUTE = 10, GUESSES_AT_ONCE = 20, REQUESTS_PER_MINUTE = 30000, REQUESTS_AT_ONCE = 5000 };
enum { WRITES_PER_MINUTE = 3000, WRITES_AT_ONCE = 3000, RENEWALS_PER_MINUTE = 60, RENEWALS_AT_ONCE = 60 };

struct binding { /* what a registered route carries */
    struct api *api;
    const struct api_route *route;
};

int call_json(struct call *call, int status, char *json, struct err *err)
{
    if (!json)
        return err->code == ERR_NONE ? err_no_memory(err) : -1;
    call->status = status;
    call->body = json;
    call->len = strlen(json);
    return 0;
}

int call_writer(struct call *call, int status, struct json_writer *w, struct err *err)
{
    return call_json(call, status, jsonw_take(w, err), err);
}

int call_bytes(struct call *call, int status, const char *type, char *body, size_t len)
{
    call->status = status;
    call->type = type;
    call->body = body;
    call->len = len;
    return 0;
}

int call_digest(struct call *call, struct digest *out, struct err *err)
{
    const char *text = http_param(call->request, "digest");
    if (!text || !digest_parse(text, out))
        return err_set(err, ERR_INVALID,
                       "the path wants a digest: sha256: and 64 lower-case hexadecimal digits");
    return 0;
}

int call_id(struct call *call, uint64_t *out, struct err *err)
{
    const char *text = http_param(call->request, "id");
    if (!text || !str_to_u64(text, out) || *out > INT64_MAX)
        return err_set(err, ERR_INVALID, "the path wants a number");
    return 0;
}

int call_query_u64(struct call *call, const char *name, uint64_t fallback, uint64_t max, uint64_t *out,
                   struct err *err)
{
    const char *text = http_query(call->request, name);
    *out = fallback;
    if (text && (!str_to_u64(text, out) || *out > max))
        return err_set(err, ERR_INVALID, "query parameter %s wants a number up to %llu", name,
                       (unsigned long long)max);
    return 0;
}

int call_spend(struct call *call, struct limiter *limiter, const char *key, struct err *err)
{
    int64_t wait_ms = 0;
    if (limiter_take(limiter, key, clock_mono_ms(), &wait_ms))
        return 0;
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)(wait_ms + 999) / 1000);
    http_set_header(call->request, "Retry-After", seconds);
    return err_set(err, ERR_BUSY, "too many requests; try again in %s s", seconds);
}

/* NULL: the request has none. */
static const char *bearer_of(struct http_request *request)
{
    const char *header = http_header(request, "Authorization");
    return header && strncasecmp(header, "Bearer ", 7) == 0 && header[7] ? header + 7 : NULL;
}

int rights_of_bearer(struct fleet *fleet, struct http_request *request, struct rights *out, struct err *err)
{
    const char *bearer = bearer_of(request);
    struct identity identity;
    if (!bearer)
        return err_set(err, ERR_DENIED, "a token is required");
    if (identity_of(fleet, bearer, clock_wall_ms(), &identity, err) < 0)
        return -1;
    *out = identity.rights;
    return 0;
}

/* A wrong token counts against its address. A right one is never turned away for the wrong ones of others behind the same address: 256 bits are
 * not guessed, but a robot with a stale token, or anybody at a proxy, would keep people from stopping robots. */
int call_guessed(struct call *call, struct err *err)
{
    const char *address = http_client_address(call->request);
    int64_t wait_ms;
    if (limiter_take(&call->api->guesses, address, clock_mono_ms(), &wait_ms))
        return -1;
    return err_set(err, ERR_BUSY, "too many wrong tokens from %s; try again in %lld s", address,
                   (long long)(wait_ms + 999) / 1000);
}

static int authenticate_operator(struct call *call, struct err *err)
{
    const char *bearer = bearer_of(call->request);
    struct identity identity;
    if (!bearer)
        return err_set(err, ERR_DENIED,
                       "a token is required (Authorization: Bearer …); make one with musterd token");
    if (identity_of(call->fleet, bearer, clock_wall_ms(), &identity, err) < 0)
        return err->code == ERR_DENIED ? call_guessed(call, err) : -1;
    str_copy(call->operator_name, sizeof call->operator_name, identity.name);
    call->rights = identity.rights;
    call->fleet->counters.operator_requests++;
    return call_spend(call, &call->api->requests, identity.name, err);
}

static int authenticate_robot(struct call *call, const struct api_route *route, struct err *err)
{
    if (device_admit(call, route->handle == renew_post, err) < 0)
        return -1;
    return route->writes ? call_spend(call, &call->api->writes, call->robot.id, err) : 0;
}

/* 401 is the one status that the table of err.h does not have. */
static void refuse_operator(struct call *call, const struct err *err)
{
    char *body = api_error_format(err);
    call->fleet->counters.refused++;
    http_set_header(call->request, "WWW-Authenticate", "Bearer");
    if (body)
        group_reply(call->fleet->group, call->request, 401, NULL, body, strlen(body));
    else
        group_reply_error(call->fleet->group, call->request, err);
}

static int authenticate(struct call *call, const struct api_route *route, struct err *err)
{
    if (route->who == WHO_ROBOT)
        return authenticate_robot(call, route, err);
    return route->who == WHO_OPERATOR ? authenticate_operator(call, err) : 0;
}

/* ---- may they? ---- */

static bool reaches_fleet(const struct call *call, enum right right)
{
    return rights_on_fleet(&call->rights, right);
}

int call_may(const struct call *call, enum right right, const struct robot_row *robot, struct err *err)
{
    if (rights_on_robot(&call->rights, right, robot->labels, robot->label_count))
        return 0;
    if (!rights_on_robot(&call->rights, RIGHT_SEE, robot->labels, robot->label_count))
        return err_set(err, ERR_NOT_FOUND, "robot %s is not known", robot->id);
    return err_set(err, ERR_DENIED, "%s has no right to %s on robot %s", call->operator_name,
                   right_name(right), robot->id);
}

int call_may_id(const struct call *call, enum right right, const char *robot, struct err *err)
{
    struct robot_row row;
    if (call->fleet->store->ops->robot_get(call->fleet->store, robot, &row, err) < 0)
        return err->code == ERR_NOT_FOUND ? err_set(err, ERR_NOT_FOUND, "robot %.60s is not known", robot)
                                          : -1;
    return call_may(call, right, &row, err);
}

bool rights_see(struct fleet *fleet, const struct rights *rights, const char *robot)
{
    struct err err = {0};
    struct robot_row row;
    if (!robot[0] || rights_on_fleet(rights, RIGHT_SEE))
        return true;
    return fleet->store->ops->robot_get(fleet->store, robot, &row, &err) == 0 &&
           rights_on_robot(rights, RIGHT_SEE, row.labels, row.label_count);
}

bool call_sees(const struct call *call, const char *robot)
{
    return rights_see(call->fleet, &call->rights, robot);
}

/* A selector is a robot that has these labels and nothing else: a grant that reaches it reaches every robot that it selects. */
int call_may_select(const struct call *call, enum right right, const struct api_label *labels, size_t count,
                    struct err *err)
{
    if (rights_on_robot(&call->rights, right, labels, count))
        return 0;
    return err_set(err, ERR_DENIED, "%s has no right to %s on all robots that this selects; select fewer",
                   call->operator_name, right_name(right));
}

/* Before the handler runs. What it names by itself it asks for with call_may. */
static int authorize(const struct call *call, const struct api_route *route, struct err *err)
{
    bool may = false;
    if (route->who != WHO_OPERATOR)
        return 0;
    switch (route->reach) {
    case REACH_NOBODY:
        break;
    case REACH_FLEET:
        may = reaches_fleet(call, route->right);
        break;
    case REACH_ROBOT:
    case REACH_NAMED:
    case REACH_SOME:
        may = rights_somewhere(&call->rights, route->right);
        break;
    }
    if (!may)
        return err_set(err, ERR_DENIED, "%s has no right to %s%s", call->operator_name,
                       route->right == RIGHT_NONE ? "do this" : right_name(route->right),
                       route->reach == REACH_FLEET ? " on the whole fleet" : "");
    return route->reach == REACH_ROBOT ? call_may_id(call, route->right, http_param(call->request, "id"), err)
                                       : 0;
}

static int handle_write(struct call *call, const struct api_route *route, struct err *err)
{
    if (group_enter(call->fleet->group, err) < 0)
        return -1;
    if (route->handle(call, err) < 0) {
        group_cancel(call->fleet->group);
        return -1;
    }
    return group_leave(call->fleet->group, err);
}

static void answer(struct call *call, int rc, const struct err *err)
{
    if (rc < 0) {
        free(call->body);
        group_reply_error(call->fleet->group, call->request, err);
    } else if (!call->taken) {
        group_reply(call->fleet->group, call->request, call->status, call->type, call->body, call->len);
    }
}

static void dispatch(struct http_request *request, void *arg)
{
    const struct binding *binding = arg;
    const struct api_route *route = binding->route;
    struct err err = {0};
    struct call call = {.api = binding->api, .fleet = binding->api->fleet, .request = request};
    if (authenticate(&call, route, &err) < 0) {
        if (route->who == WHO_OPERATOR && err.code == ERR_DENIED) {
            refuse_operator(&call, &err);
            return;
        }
        call.fleet->counters.refused += err.code == ERR_DENIED;
        group_reply_error(call.fleet->group, request, &err);
        return;
    }
    if (authorize(&call, route, &err) < 0) {
        call.fleet->counters.refused += err.code == ERR_DENIED;
        group_reply_error(call.fleet->group, request, &err);
        return;
    }
    int rc = route->writes ? handle_write(&call, route, &err) : route->handle(&call, &err);
    if (rc < 0 && err_http_status(err.code) >= 500)
        log_warn("%s: %s", http_request_path(request), err.text);
    bool urgent = call.urgent && rc == 0;
    answer(&call, rc, &err);
    if (urgent && group_flush(binding->api->fleet->group, &err) < 0)
        log_error("commit: %s", err.text);
}

struct bound_api { /* the API and the bindings of its routes, which live as long */
    struct api api;
    struct binding robot[API_MAX_ROUTES], operators[API_MAX_ROUTES];
};

static void on_commit(void *arg)
{
    device_wake(arg); /* first: who is shut out gets no news */
    director_wake(arg);
    orders_wake(arg);
    events_push(arg);
}

static void on_more(evutil_socket_t fd, short what, void *arg)
{
    events_push(arg);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    events_tick(arg);
    alarms_tick(arg);
}

int api_new(struct fleet *fleet, struct api **out, struct err *err)
{
    struct bound_api *bound = mem_zalloc(1, sizeof *bound);
    if (!bound)
        return err_no_memory(err);
    struct api *api = &bound->api;
    api->fleet = fleet;
    TAILQ_INIT(&api->subscribers);
    limiter_init(&api->guesses, GUESSES_PER_MINUTE, GUESSES_AT_ONCE);
    limiter_init(&api->requests, REQUESTS_PER_MINUTE, REQUESTS_AT_ONCE);
    limiter_init(&api->writes, WRITES_PER_MINUTE, WRITES_AT_ONCE);
    limiter_init(&api->renewals, RENEWALS_PER_MINUTE, RENEWALS_AT_ONCE);
    api->tick = event_new(fleet->base, -1, EV_PERSIST, on_tick, api);
    api->more = evtimer_new(fleet->base, on_more, api);
    if (!api->tick || !api->more) {
        api_free(api);
        return err_no_memory(err);
    }
    struct timeval period = {.tv_sec = 25};
    event_add(api->tick, &period);
    group_watch(fleet->group, on_commit, api);
    *out = api;
    return 0;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    if (api->tick)
        event_free(api->tick);
    if (api->more)
        event_free(api->more);
    free(api); /* the first member of struct bound_api */
}

static int serve(struct api *api, struct http_server *server, struct api_routes table,
                 struct binding *bindings, struct err *err)
{
    const struct api_route *routes = table.items;
    assert(table.count <= API_MAX_ROUTES);
    for (size_t i = 0; i < table.count; i++) {
        bindings[i] = (struct binding){.api = api, .route = &routes[i]};
        if (http_server_handle(server, routes[i].method, routes[i].pattern, dispatch, &bindings[i], err) < 0)
            return -1;
    }
    return 0;
}

int api_serve_robots(struct api *api, struct http_server *server, struct err *err)
{
    struct bound_api *bound = (struct bound_api *)(void *)api;
    api->robots = server;
    return serve(api, server, api_robot_routes(), bound->robot, err);
}

int api_serve_operators(struct api *api, struct http_server *server, struct err *err)
{
    struct bound_api *bound = (struct bound_api *)(void *)api;
    return serve(api, server, api_operator_routes(), bound->operators, err);
}

void api_drain(struct api *api)
{
    api->fleet->draining = true;
    hold_drain(api);
    events_drain(api);
}
