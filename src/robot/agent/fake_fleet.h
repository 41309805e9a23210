/* For agent_test: a fleet server of a few threads that can be made to misbehave, and releases for it to
 * serve.
 *
 * It keeps everything it was told; a test waits on that. One server per process. */
#ifndef MUSTER_ROBOT_AGENT_FAKE_FLEET_H
#define MUSTER_ROBOT_AGENT_FAKE_FLEET_H

#include "base/buf.h"
#include "base/digest.h"
#include "wire/api.h"
#include "wire/release.h"

#include <stdbool.h>
#include <stdint.h>

enum fault {
    FAULT_NONE,
    FAULT_TRUNCATE, /* the connection ends in the middle of the body */
    FAULT_STALL,    /* the body stops in the middle and nothing more comes */
    FAULT_ENDLESS,  /* the body never ends */
    FAULT_FLIP,     /* one bit is wrong */
    FAULT_ERROR,    /* 503 */
};

struct made {
    struct digest digest;
    uint64_t size;                                /* of the manifest */
    struct digest weights, extra;                 /* blobs: the model, and one of EXTRA_BYTES */
    struct digest variants[RELEASE_MAX_VARIANTS]; /* of the release's variants; zero: it has fewer */
    char version[32];
};

enum { EXTRA_BYTES = 300000 };

/* `dir`: for the server's CA and its releases. */
void fleet_start(const char *dir);
void fleet_stop(void);
uint16_t fleet_port(void);
const char *fleet_layout(void); /* of its releases */

/* Makes a release. Nobody wants it on a robot yet: fake_trust.h. */
struct made fleet_make(const char *version);
/* One whose manifest says that its extra blob has so many bytes. */
struct made fleet_make_claiming(const char *version, uint64_t extra_bytes);
/* One whose release.json was changed. */
struct made fleet_make_changed(const char *version, void (*change)(struct release *release));

/* Another part of the server, with paths of its own: true if it is for it. Runs in any thread. */
enum { FLEET_ENDLESS = -1, FLEET_STALLS = -2 }; /* instead of an HTTP status */
typedef bool fleet_part(const char *path, const char *query, struct buf *out, int *out_status);
void fleet_extend(fleet_part *part);
bool fleet_stopping(void);

/* The next `times` answers for this blob misbehave. */
void fleet_fault(const struct digest *blob, enum fault fault, int times);

/* The next `times` exports of telemetry get this answer, from something that stands before the server. */
void fleet_lead_astray(int status, int times);
bool fleet_astray(void); /* some are still to come */

/* What it has seen. */
unsigned fleet_reports(enum report_kind kind, const struct digest *release); /* release NULL: any */
unsigned fleet_reports_with(enum report_kind kind, const char *words);       /* whose text has these words */
/* The text of the last such report; "" if there is none. */
void fleet_report_text(enum report_kind kind, const struct digest *release, char out[API_MAX_SUMMARY]);
uint64_t fleet_frames(const struct digest *release); /* by telemetry, each export once */
unsigned fleet_requests(const struct digest *blob);
uint64_t fleet_last_range(const struct digest *blob); /* first byte of the last request for it */
bool fleet_saw_a_gap(
    void); /* reports or telemetry with a hole, or a number used twice for different things */

#endif
