/* What is true about samples that are no pictures with boxes (those: coco.h).
 *
 *     DIR/labels.json    {"a.png": "cat", "b.npy": "dog", …}                          one label per file, of the release's labels
 *
 *     DIR/events.json    {"rate_hz": 50,                                              frames per second
 *                         "labels": ["fall"],                                         what counts as an event; the others are background
 *                         "tolerance_s": 1.0, "join_s": 1.0,                          stats/events.h; both may be left out
 *                         "series": [{"file": "walk-3.npy",
 *                                     "events": [{"label": "fall", "from_s": 12.4, "to_s": 13.1}]}, …]}
 *
 * Foreign bytes. Limits: the 4 MiB of wire/json.h, TRUTH_MAX_*; files are paths below DIR.
 */
#ifndef MUSTER_FORGE_TRUTH_H
#define MUSTER_FORGE_TRUTH_H

#include "base/err.h"
#include "base/mem.h"
#include "stats/events.h"
#include "wire/release.h"

#include <stddef.h>
#include <stdint.h>

enum { TRUTH_MAX_FILES = 100000, TRUTH_MAX_EVENTS = 100000, TRUTH_NAME_SIZE = 128 };

struct truth_file {
    char name[TRUTH_NAME_SIZE];
    uint32_t label;      /* of labels.json */
    size_t first, count; /* of events.json: its events */
};

struct truth {
    size_t file_count, event_count;
    struct truth_file *files; /* labels.json: sorted by name; events.json: as in the file */
    struct event *events;     /* labels are indices into the release's labels */
    double rate_hz, tolerance_s, join_s;
    size_t label_count; /* that count as events */
    uint32_t labels[RELEASE_MAX_LABELS];
};

/* Errors: INVALID naming the place; REFUSED for a label that the release does not know; TOO_BIG. */
int truth_parse_labels(const void *text, size_t len, const struct release *release, struct truth **out,
                       struct err *err) must_check;
int truth_parse_events(const void *text, size_t len, const struct release *release, struct truth **out,
                       struct err *err) must_check;
void truth_free(struct truth *truth);
MUSTER_CLEANUP(struct truth *, truth_free)
#define cleanup_truth __attribute__((cleanup(truth_freep)))

#endif
