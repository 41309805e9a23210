/* What the server knows of its robots only while it runs: when each was heard last, and its held
 * questions. Everything here can be lost without harm.
 *
 * Contacts are counted by the monotonic clock; the store's `seen_ms` (wall clock) is flushed from here now
 * and then.
 */
#ifndef MUSTER_FLEET_CORE_ROSTER_H
#define MUSTER_FLEET_CORE_ROSTER_H

#include "base/err.h"
#include "base/mem.h"
#include "fleet/decide/instance.h"
#include "fleet/telemetry/presence.h"
#include "wire/api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_request;
struct event;

/* What a robot may ask and be kept waiting for. */
enum roster_question { ROSTER_DIRECTOR, ROSTER_COMMANDS, ROSTER_QUESTIONS };

enum roster_away { ROSTER_HERE, ROSTER_MISSING, ROSTER_TOLD, ROSTER_LOST_WITH_SITE };

struct roster_held {
    struct http_request *request; /* NULL: none is held */
    uint64_t after;
    struct event *timer;
    bool changed; /* there may be news, with the open transaction's commit */
};

struct roster_entry {
    char id[API_ID_SIZE];
    int64_t seen_mono_ms; /* such that now - seen is the silence; INT64_MIN: never heard */
    int64_t seen_ms;      /* wall clock of the last contact; 0: never */
    bool dirty;           /* seen_ms is newer than the store's */
    struct roster_held held[ROSTER_QUESTIONS];
    struct instance_watch lives; /* of its agent */
    int64_t certified_ns; /* when its certificate changed last, monotonic; 0: before this server started */
    bool cut;             /* its connections end with the open transaction's commit */
    bool heard;           /* by this server */
    struct presence_link link;
    struct presence_work work;
    /* absence.h */
    char site[64];
    bool expected; /* to be away */
    enum roster_away away;
    int64_t missing_ms;
};

struct roster;

struct roster *roster_new(void);         /* NULL: out of memory */
void roster_free(struct roster *roster); /* held requests must be answered before */
MUSTER_CLEANUP(struct roster *, roster_free)

/* The entry, made if there is none; NULL: out of memory. It lives as long as the roster. */
struct roster_entry *roster_get(struct roster *roster, const char *id);

void roster_restore(struct roster_entry *entry, int64_t seen_ms, int64_t alive_ms,
                    int64_t mono_ms); /* at start */
void roster_touch(struct roster_entry *entry, int64_t wall_ms, int64_t mono_ms);
enum presence roster_presence(const struct roster_entry *entry, int64_t mono_ms);
int64_t roster_silence_ms(const struct roster_entry *entry, int64_t mono_ms); /* -1: never heard */
/* What its row says of where it is, and whether it may be away. */
void roster_describe(struct roster_entry *entry, const struct api_label *labels, size_t count, bool revoked);

/* In order of id. */
void roster_each(struct roster *roster, void (*visit)(struct roster_entry *entry, void *arg), void *arg);

#endif
