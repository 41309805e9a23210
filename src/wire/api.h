/* Messages of /api/v1 between robot, server and CLI. Structs in, JSON out, and back; strict.
 *
 * Robot port (client certificate; its common name is the robot id)
 *   GET  /api/v1/director?after=N&wait=S     200 assignment (wire/director.h) as soon as its version is > N, else 204 after S seconds (≤ 60)
 *   GET  /api/v1/tuf/FILE                    metadata of the fleet's repository, byte for byte
 *   GET  /api/v1/blobs/sha256:…              bytes, Range, ETag = digest
 *   POST /api/v1/reports                     numbered records; answers {"acked": N}
 *   POST /v1/metrics                         OTLP/HTTP protobuf
 * Operator port
 *   POST /api/v1/enroll                      one-time token in the body, no bearer token
 *   everything else wants Authorization: Bearer …
 *   POST /api/v1/enroll-tokens  {"robot": "r1", "labels": {"site": "north"}} → {"token": "…"}
 *   GET  /api/v1/robots            GET /api/v1/robots/ID
 *   HEAD|PUT /api/v1/blobs/sha256:…?offset=O&total=T      parts of ≤ 8 MiB, idempotent; 201 when whole and verified
 *   POST /api/v1/tuf/ROLE          metadata signed offline
 *   POST /api/v1/releases  {"manifest": "sha256:…"} → checks every blob, and that the published targets name it
 *   GET  /api/v1/releases
 *   POST /api/v1/rollouts  (rollout spec as JSON) → {"id": 1}      GET /api/v1/rollouts   GET /api/v1/rollouts/ID
 *   POST /api/v1/rollouts/ID/pause|resume|abort
 *   GET  /api/v1/events            server-sent events; data: {"id","time_ms","kind","robot","text"}
 *   GET  /metrics                  Prometheus text
 */
#ifndef MUSTER_WIRE_API_H
#define MUSTER_WIRE_API_H

#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    API_ID_SIZE = 64,
    API_MAX_LABELS = 16,
    API_MAX_RECORDS = 256,
    API_MAX_SUMMARY = 160,
    API_MAX_DETAIL = 4096
};

struct api_label {
    char key[32];
    char value[64];
};

struct api_enroll {
    char token[65];
    char csr[4096]; /* PEM */
};
struct api_renew {  /* answered by api_enrolled, as an enrolment */
    char csr[4096]; /* PEM */
};
struct api_enrolled {
    char robot[API_ID_SIZE];
    char certificate[4096]; /* PEM */
    char ca[4096];          /* PEM: trust anchor of the robot port */
};

/* Reports: what happened on the robot, in order. (stream, seq) is unique; the server applies each exactly once. A
 * stream id is made anew when the robot's log is lost; seq starts at 1 and has no holes (checked within a batch).
 * api_reports_format never fails because of a text: control characters and broken UTF-8 in it become '?'. */
enum report_kind {
    REPORT_STARTED,    /* the agent came up */
    REPORT_ASSIGNED,   /* assignment seen */
    REPORT_DOWNLOADED, /* bytes in `bytes` */
    REPORT_VERIFIED,
    REPORT_SELF_TESTED,
    REPORT_ACTIVATED,   /* running, on probation */
    REPORT_COMMITTED,   /* probation passed */
    REPORT_ROLLED_BACK, /* `release` was left; reason in `text` */
    REPORT_FAILED,      /* install of `release` failed for good; reason in `text` */
    REPORT_GUARD,       /* the guard changed state: `guard`; or what else concerns it; text */
    REPORT_RESTARTED,   /* a process of the robot had to be restarted; text names it */
    REPORT_OPERATOR, /* what became of a human's command: the line of wire/command.h; `release` stood back */
    REPORT_SHADOWED, /* what the comparison on live frames gave, or why there was none; text */
    REPORT_WITNESS,  /* the server's audit log is not the one that this robot knows; text names the rule */
    REPORT_DRIFT,    /* an alarm of muster-watch; `detail` */
    REPORT_DECISION, /* why something stepped in: `detail` is a record of wire/decision.h; text its "because" */
    REPORT_GAP, /* what the robot could not keep: `detail` {"class": "metric|sample", "first", "last", "count", "from_ms", "until_ms", "why"} */
    REPORT_KIND_COUNT
};
/* The state of the guard, as robot/ctl/ctl.h has it, one higher; so that a fleet shows who is stopped without reading texts. */
enum api_guard {
    API_GUARD_NONE, /* the record says nothing about it */
    API_GUARD_INIT,
    API_GUARD_STANDBY,
    API_GUARD_AUTO,
    API_GUARD_DEGRADED,
    API_GUARD_FALLBACK,
    API_GUARD_FORCED,
    API_GUARD_HOLD,
    API_GUARD_OVERRIDE,
    API_GUARD_SAFE_STOP,
    API_GUARD_ESTOP,
    API_GUARD_ACK_WAIT,
    API_GUARD_SERVICE,
    API_GUARD_GONE, /* there is no guard: no model answers */
    API_GUARD_COUNT
};
const char *api_guard_name(enum api_guard state); /* "safe_stop"; "" for NONE */

struct api_report {
    uint64_t seq;
    int64_t time_ms;
    enum report_kind kind;
    struct digest release; /* zero if none */
    char version[64];      /* "" if none */
    uint64_t bytes;
    char text[API_MAX_SUMMARY];
    enum api_guard guard; /* "guard": the state from now on */
    char who[48];         /* with `guard`: whose word it stands on; "" nobody's. Why is in `text` */
    char detail
        [API_MAX_DETAIL]; /* a JSON object in canonical form; "" none. What is no object is left out by the formatter */
};
struct api_reports {
    char stream[33]; /* 32 hex digits */
    size_t count;
    struct api_report records[API_MAX_RECORDS];
};

/* Parsers are strict: an unknown, missing or ill-typed member is INVALID and named; after -1 *out is not to be used.
 * Formatters give canonical JSON; free() it. NULL: out of memory, or a member that is no UTF-8. */
int api_enroll_parse(const void *text, size_t len, struct api_enroll *out, struct err *err) must_check;
char *api_enroll_format(const struct api_enroll *enroll);
int api_renew_parse(const void *text, size_t len, struct api_renew *out, struct err *err) must_check;
char *api_renew_format(const struct api_renew *renew);
int api_enrolled_parse(const void *text, size_t len, struct api_enrolled *out, struct err *err) must_check;
char *api_enrolled_format(const struct api_enrolled *enrolled);
int api_reports_parse(const void *text, size_t len, struct api_reports *out, struct err *err) must_check;
char *api_reports_format(const struct api_reports *reports);
/* What muster-watch has to say, as a report without seq: a decision record (wire/decision.h), or, where "who" is "drift", an alarm. `detail` is the
 * whole object; time, release, version and text ("because") are taken out of it. */
int api_report_from_event(const void *text, size_t len, struct api_report *out, struct err *err) must_check;
int api_acked_parse(const void *text, size_t len, uint64_t *out_acked, struct err *err) must_check;
char *api_acked_format(uint64_t acked);
char *api_error_format(const struct err *err);                       /* {"error":{"code","message"}} */
bool api_error_parse(const void *text, size_t len, struct err *out); /* false: not such a document */
/* One record as it is kept on the robot; its seq may be 0 there. */
int api_report_parse(const void *text, size_t len, struct api_report *out, struct err *err) must_check;
char *api_report_format(const struct api_report *report);
const char *report_kind_name(enum report_kind kind); /* "rolled_back" */

#endif
