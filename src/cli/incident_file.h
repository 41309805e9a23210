/* The inside of an incident's recording, for `muster incident show` and `export`, and `muster explain`. */
#ifndef MUSTER_CLI_INCIDENT_FILE_H
#define MUSTER_CLI_INCIDENT_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "trust/incident.h"
#include "wire/json_stream.h"

#include <stddef.h>
#include <stdint.h>

/* What was answered, why and in which state: one line for each run of equal verdicts, one for each thing that was said. To
 * standard output, or as an array "timeline" into `json`. Times are seconds from the trigger. */
int incident_timeline(const void *data, size_t size, const struct incident_facts *facts,
                      struct json_writer *json, struct err *err) must_check;

/* Its pictures as DIR/000123.jpg, by the number of the frame. */
int incident_pictures(const void *data, size_t size, const char *dir, unsigned *out_count,
                      struct err *err) must_check;

/* One frame of it: the picture as it lies there (JPEG), and what was answered to it. */
struct incident_frame {
    uint64_t seq, stream;
    double at_s;                            /* from the trigger */
    struct buf picture;                     /* owned */
    char answer[32], reason[32], state[32]; /* empty: its verdict is not in the recording */
};
#define INCIDENT_LAST_FRAME UINT64_MAX /* the last one before the trigger */

/* Errors: NOT_FOUND if there is no such frame, or none before the trigger. */
int incident_frame(const void *data, size_t size, const struct incident_facts *facts, uint64_t seq,
                   struct incident_frame *out, struct err *err) must_check;
void incident_frame_fini(struct incident_frame *frame);
#define cleanup_incident_frame __attribute__((cleanup(incident_frame_fini)))

#endif
