/* STATE_DIR/incidents: the sealed events of a robot, found again by their names alone.
 *
 *   000042-20260102T030405Z-3-estop.mcap      number (only grows), time of the trigger, severity, cause
 *   000042-20260102T030405Z-3-estop.sent      beside it: the server has it
 *
 * Room for a new event is made by dropping the least grave first, of these what the server has, of these the oldest: a grave
 * event is never given up for a lesser one. What is no incident's name is left alone, but temporary files of ours go.
 */
#ifndef MUSTER_ROBOT_RECORDER_SHELF_H
#define MUSTER_ROBOT_RECORDER_SHELF_H

#include "base/err.h"
#include "trust/incident.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHELF_MAX = 512, SHELF_NUMBERS = 1000000 };

struct shelf_item {
    char id[INCIDENT_ID_SIZE]; /* the name without ".mcap" */
    uint32_t number;
    int severity;
    bool sent;
    uint64_t bytes;
};

struct shelf_list {
    size_t count;
    struct shelf_item items[SHELF_MAX]; /* oldest first */
};

/* The id of a new event. */
void shelf_id(uint32_t number, int64_t time_ms, int severity, const char *cause, char out[INCIDENT_ID_SIZE]);
bool shelf_parse(const char *id, struct shelf_item *out); /* number and severity */

/* What is there. A directory that is missing is empty. Beyond SHELF_MAX the oldest are left out. */
int shelf_read(const char *dir, struct shelf_list *out, struct err *err) must_check;
int shelf_bytes(const char *dir, uint64_t *out, struct err *err) must_check; /* of all events */
int shelf_sweep(const char *dir,
                struct err *err) must_check; /* leftovers of an interrupted write, marks without a file */
uint32_t shelf_next_number(const struct shelf_list *list);

/* Pure: the item to drop first; NULL: empty. */
const struct shelf_item *shelf_victim(const struct shelf_list *list);
/* Drops until one more of `bytes` fits. Errors: NO_SPACE if only graver ones than `severity` are left. */
struct shelf_limits {
    size_t events;
    uint64_t bytes;
};
int shelf_make_room(const char *dir, const struct shelf_limits *limits, int severity, uint64_t bytes,
                    struct err *err) must_check;

int shelf_path(const char *dir, const char *id, const char *suffix, char *out, size_t size,
               struct err *err) must_check;
int shelf_mark_sent(const char *dir, const char *id, struct err *err) must_check;

#endif
