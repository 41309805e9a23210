/* The workstation's side of trust: a directory of offline keys and the metadata that they sign.
 *
 *     keys/root.key release.key …     private, encrypted; each with its NAME.pub.json (key_file.h)
 *     keys/metadata/                  the repository (trust/repo/repo.h): root and targets, published and pending
 *     keys/root.json                  the newest root: what robots and musterd are given
 *     keys/operators.json             the operators' keyring as targets name it
 *
 * What is pending is signed with the keys that lie here; when there are enough signatures it is published, else it waits for people
 * who hold the others.
 */
#ifndef MUSTER_CLI_STATION_H
#define MUSTER_CLI_STATION_H

#include "trust/repo/repo.h"

enum { STATION_DAYS = 365, STATION_WARN_DAYS = 30, STATION_MAX_DAYS = 3650 };

struct station {
    char *dir; /* all owned */
    struct repo *repo;
    char *passphrase;
    int lock;
};

bool station_exists(const char *dir);
/* Locked until closed. Errors: NOT_FOUND, BUSY. */
int station_open(const char *dir, struct station *out, struct err *err) must_check;
void station_close(struct station *station);
#define cleanup_station __attribute__((cleanup(station_close)))

int64_t station_now_s(void);

/* Signs what is pending for "root" or "targets" with `key_file` (NULL: with the keys of the directory, until there are enough) and
 * publishes it if it can be. REFUSED if key_file speaks for nothing. */
int station_complete(struct station *station, const char *role, const char *key_file, bool *out_published,
                     struct err *err) must_check;

/* The second half alone: publishes what is pending if it has its signatures; CONFLICT says what is missing. */
int station_publish(struct station *station, const char *role, bool *out_published,
                    struct err *err) must_check;

/* Says on standard output what became of a role: published, or how many signatures are missing and what to do. */
int station_say(const struct station *station, const char *role, bool published, struct err *err) must_check;
/* The same, and targets whose signers a new root changed are signed anew. */
int station_end(struct station *station, const char *role, bool published, struct err *err) must_check;

/* The operators' keyring becomes target muster/operators.json, and targets are signed. */
int station_set_operators(struct station *station, const char *ring_path, bool *out_published,
                          struct err *err) must_check;

/* One line on stderr for each of root and targets that has expired or soon will have. */
void station_warn(const struct station *station);

/* "root", "targets" ("release" is what people call its keys), "timestamp" …; NULL: none of them. */
const char *station_role(const char *word);

#endif
