/* One request on its way through the API; private to fleet/api.
 *
 * A handler returns 0 after it has set a reply (or has taken the request over: `taken`), -1 with an error.
 * Handlers of routes that write run between group_enter and group_leave; their reply goes out with the
 * commit, and an error takes back what they wrote. */
#ifndef MUSTER_FLEET_API_CALL_H
#define MUSTER_FLEET_API_CALL_H

#include "fleet/api/api.h"
#include "fleet/api/identity.h"
#include "fleet/core/limiter.h"
#include "fleet/rights/rights.h"
#include "sys/http.h"
#include "wire/json_stream.h"

#include <sys/queue.h>

struct subscriber; /* events.c */
TAILQ_HEAD(subscriber_list, subscriber);

struct api {
    struct fleet *fleet;
    struct subscriber_list subscribers;
    size_t subscriber_count;
    struct limiter guesses, requests; /* by address, by operator */
    struct limiter writes, renewals;  /* by robot */
    struct http_server *robots;       /* the robot port; NULL: none */
    struct event *tick;               /* comment lines for idle streams */
    struct event *more;               /* the next batch of a backlog */
};

struct call {
    struct api *api;
    struct fleet *fleet;
    struct http_request *request;
    char operator_name[API_ID_SIZE]; /* operator routes */
    struct rights rights;            /* what he may */
    struct robot_row robot;          /* robot routes */

    bool taken;  /* the handler answers by itself, later or by a stream */
    bool urgent; /* commit at once, do not wait for others */
    int status;
    const char *type; /* a literal; NULL: application/json */
    char *body;       /* owned until the reply */
    size_t len;
};

enum api_who { WHO_ANYONE, WHO_ROBOT, WHO_OPERATOR };

/* How far an operator's right has to reach (fleet/rights/rights.h) for this route. */
enum api_reach {
    REACH_NOBODY, /* forgotten: nobody may */
    REACH_FLEET,  /* the act is on the fleet itself: a grant without a selector */
    REACH_ROBOT,  /* on the robot :id, checked before the handler runs */
    REACH_NAMED, /* on robots that the handler finds out (body, rollout, incident) and asks for with call_may, each of them */
    REACH_SOME /* of what there is the handler shows what concerns robots within reach (call_may), and what concerns no robot */
};
#define RIGHT_NONE RIGHT_COUNT /* routes of robots, and of anyone */

enum { API_MAX_ROUTES = 96 };

struct api_route {
    enum http_method method;
    const char *pattern;
    enum api_who who;
    bool writes;
    int (*handle)(struct call *call, struct err *err);
    enum right right;
    enum api_reach reach;
};

struct api_routes {
    const struct api_route *items;
    size_t count;
};
struct api_routes api_robot_routes(void);
struct api_routes api_operator_routes(void);

/* Sets the reply. Takes the text; NULL: -1 with *err as it is. */
int call_json(struct call *call, int status, char *json, struct err *err) must_check;
int call_writer(struct call *call, int status, struct json_writer *w,
                struct err *err) must_check; /* takes its text */
int call_bytes(struct call *call, int status, const char *type, char *body, size_t len);

/* Whether this operator's rights reach that robot; DENIED with what is missing. For a robot that he may not even see it is NOT_FOUND, in the
 * words for one that does not exist. */
int call_may(const struct call *call, enum right right, const struct robot_row *robot,
             struct err *err) must_check;
/* The same by id; NOT_FOUND if there is none. */
int call_may_id(const struct call *call, enum right right, const char *robot, struct err *err) must_check;
bool call_sees(const struct call *call, const char *robot); /* "": the fleet, which everybody sees */
bool rights_see(struct fleet *fleet, const struct rights *rights,
                const char *robot); /* the same, for who is remembered */
/* What the operator of a request that is held may by now. DENIED: nothing any more. */
int rights_of_bearer(struct fleet *fleet, struct http_request *request, struct rights *out,
                     struct err *err) must_check;
/* Whether the rights reach every robot with these labels, also those that get them later. */
int call_may_select(const struct call *call, enum right right, const struct api_label *labels, size_t count,
                    struct err *err) must_check;

/* Path and query. INVALID with a clear line. */
int call_digest(struct call *call, struct digest *out, struct err *err) must_check; /* :digest */
int call_id(struct call *call, uint64_t *out, struct err *err) must_check;          /* :id as a number */
int call_query_u64(struct call *call, const char *name, uint64_t fallback, uint64_t max, uint64_t *out,
                   struct err *err) must_check;

/* The handlers, by file. */
int reports_post(struct call *call, struct err *err);
int metrics_post(struct call *call, struct err *err);
int director_get(struct call *call, struct err *err);
void director_wake(struct api *api); /* after a commit */

/* hold.c: answers now if `wait_s` is 0, else holds the robot's question. hold_take: it is held no more, and is to be answered;
 * NULL if there is none. */
enum { HOLD_MAX_WAIT_S = 60 };
int hold_question(struct call *call, enum roster_question question, uint64_t after, uint64_t wait_s,
                  struct err *err);
struct http_request *hold_take(struct roster_held *held);
void hold_drain(struct api *api);

int orders_get(struct call *call, struct err *err);
void orders_wake(struct api *api); /* after a commit */

int command_post(struct call *call, struct err *err);
int command_list(struct call *call, struct err *err);
int command_show(struct call *call, struct err *err);
int audit_get(struct call *call, struct err *err);
int audit_checkpoint_get(struct call *call, struct err *err);
int audit_checkpoints_get(struct call *call, struct err *err);
int audit_tile_get(struct call *call, struct err *err);   /* hashes and entries */
int audit_hashes_get(struct call *call, struct err *err); /* hashes alone */
int audit_proof_get(struct call *call, struct err *err);
/* A robot says what became of a command. */
int command_outcome(struct call *call, const struct api_report *report, struct err *err);

/* Takes one of what this key may; BUSY with the time to wait. */
int call_spend(struct call *call, struct limiter *limiter, const char *key, struct err *err) must_check;

/* For a token that is not known: -1 with *err as it is, or BUSY if there were too many from this address. */
int call_guessed(struct call *call, struct err *err);

/* devices.c: which robot this is, and whether it may ask for this. */
int device_admit(struct call *call, bool renews, struct err *err);
int device_refusal(const struct robot_row *row,
                   struct err *err); /* -1 with DENIED: revoked, or quarantined */
void device_wake(struct api *api);   /* after a commit: ends what was cut */

/* enroll.c: certifies the key of a request for this robot; the answer that carries a certificate. */
int enroll_issue(struct call *call, const char *csr, const char *robot, char out_serial[STORE_SERIAL_SIZE],
                 struct api_enrolled *out, struct err *err);

int enroll_answer(struct call *call, const char *robot, const char *certificate, struct api_enrolled *out,
                  struct err *err);

int renew_post(struct call *call, struct err *err);
int robot_release_quarantine(struct call *call, struct err *err);
int enroll_post(struct call *call, struct err *err);
int enroll_token_post(struct call *call, struct err *err);

int blob_get(struct call *call, struct err *err); /* and HEAD */
int blob_put(struct call *call, struct err *err);

int release_post(struct call *call, struct err *err);
int release_list(struct call *call, struct err *err);
int release_get(struct call *call, struct err *err);

int tuf_get(struct call *call, struct err *err);
int tuf_post(struct call *call,
             struct err *err); /* has its own transactions: on record first, then published */
int approval_post(struct call *call, struct err *err);
int approval_list(struct call *call, struct err *err);

int robot_list(struct call *call, struct err *err);
int robot_get(struct call *call, struct err *err);
int robot_revoke(struct call *call, struct err *err);

int rollout_post(struct call *call, struct err *err);
int rollout_list(struct call *call, struct err *err);
int rollout_get(struct call *call, struct err *err);
int rollout_pause_post(struct call *call, struct err *err);
int rollout_resume_post(struct call *call, struct err *err);
int rollout_abort_post(struct call *call, struct err *err);

int events_get(struct call *call, struct err *err);
void events_push(struct api *api); /* what is new and on disk */
void events_tick(struct api *api);
void events_drain(struct api *api);

int incident_put(struct call *call, struct err *err);
int incident_post(struct call *call, struct err *err);
int incident_list(struct call *call, struct err *err);
int incident_get(struct call *call, struct err *err);
int incident_file_get(struct call *call, struct err *err);

int decision_list(struct call *call, struct err *err);
int drift_list(struct call *call, struct err *err);
int drift_get(struct call *call, struct err *err);
int drift_acknowledge_post(struct call *call, struct err *err);
/* What a robot's watcher said, out of a report of kind decision or drift. */
int decision_take(struct call *call, const struct api_report *report, struct err *err);
int drift_take(struct call *call, const struct api_report *report, struct err *err);

int sample_post(struct call *call, struct err *err);
int review_list(struct call *call, struct err *err);
int review_get(struct call *call, struct err *err);
int review_picture_get(struct call *call, struct err *err);
int review_post(struct call *call, struct err *err);
int missed_post(struct call *call, struct err *err);
int missed_list(struct call *call, struct err *err);
int accuracy_get(struct call *call, struct err *err);
int alarms_get(struct call *call, struct err *err);
void alarms_tick(struct api *api); /* an event when alarms wait for too long */

int series_get(struct call *call, struct err *err);

int healthz_get(struct call *call, struct err *err);
int prometheus_get(struct call *call, struct err *err);
int asset_get(struct call *call, struct err *err);

/* Views shared between files (view.c). */
void view_release_ref(struct json_writer *w, const char *key, struct fleet *fleet,
                      const struct digest *digest);
void view_telemetry(struct json_writer *w, const struct telemetry_row *row,
                    double budget_ms);                                                    /* members only */
void view_robot(struct json_writer *w, struct fleet *fleet, const struct robot_row *row); /* members only */
double view_f1(uint64_t tp, uint64_t fp, uint64_t fn);                                    /* NaN: no labels */
int view_budget(struct fleet *fleet, const struct digest *release, double *out_ms);       /* 0 or -1 */
const char *view_site(const struct robot_row *row); /* its label; "": it has none; borrowed */

#endif
