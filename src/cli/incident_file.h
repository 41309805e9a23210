/* The inside of an incident's recording, for `muster incident show` and `export`. */
#ifndef MUSTER_CLI_INCIDENT_FILE_H
#define MUSTER_CLI_INCIDENT_FILE_H

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

#endif
