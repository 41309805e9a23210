/* The HTTP interface (docs/api.md) on a server of sys/http.h.
 *
 *     api_new(fleet, &api, &err);                        one for all listeners: held requests and streams
 * live here api_serve_robots(api, robot_server, &err);         TLS with client certificates
 *     api_serve_operators(api, operator_server, &err);   bearer tokens; also for the console's plain listener
 *     api_drain(api);                                    answers what is held, ends streams: before the
 * servers go
 */
#ifndef MUSTER_FLEET_API_API_H
#define MUSTER_FLEET_API_API_H

#include "base/err.h"
#include "base/mem.h"
#include "fleet/core/fleet.h"

struct api;
struct http_server;

int api_new(struct fleet *fleet, struct api **out, struct err *err) must_check;
void api_free(struct api *api);
MUSTER_CLEANUP(struct api *, api_free)
#define cleanup_api __attribute__((cleanup(api_freep)))

int api_serve_robots(struct api *api, struct http_server *server, struct err *err) must_check;
int api_serve_operators(struct api *api, struct http_server *server, struct err *err) must_check;
void api_drain(struct api *api);

#endif
