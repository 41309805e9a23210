/* Attacks on one robot's trust: a world with a truth, an attacker who owns the server and all its online keys, and the robot's own code.
 *
 *     honest history ──▶ robot accepts ──▶ attacker changes what the server gives (1 … 4 moves) ──▶ robot tries ──▶ judge ──▶ fleet recovers?
 *
 * The judge knows what the offline keys really released to which fleet, what people really approved and which floors the robot has accepted, and asks
 * neither client nor admission. The robot is tuf_update, admission and the store, as the agent calls them.
 *
 * The attacker signs with the timestamp, snapshot and director keys and with keys of his own; he has every byte that was ever published, also of another
 * fleet that shares the offline release key; assignments of other robots; approvals of other releases; and the network. He has no offline key and
 * no operator's. */
#ifndef MUSTER_BENCH_ATTACK_H
#define MUSTER_BENCH_ATTACK_H

#include "base/buf.h"
#include "robot/store/store.h"
#include "trust/admission.h"
#include "trust/key.h"
#include "trust/rule.h"
#include "trust/tuf/testing/mock.h"
#include "wire/terms.h"

enum {
    MAX_RELEASES = 12,
    MAX_APPROVALS = 8,
    MAX_KEPT = 32,
    OPERATORS = 3,
    FIRST_DAY_S = 1767323045,
    DAY_S = 86400
};

struct truth { /* one release of this fleet */
    char version[16], path[32], bytes[96];
    struct digest digest;
    size_t len;
    struct terms terms;
    bool withdrawn; /* the offline keys took it back */
    unsigned approved,
        planned; /* bit per operator: who really approved the release; the release within the plan */
    char *plan;  /* bytes of its plan; owned */
    struct digest plan_digest;
};

struct text_list {
    size_t count;
    char *items[MAX_KEPT]; /* owned */
};

struct world {
    struct tuf_mock *mock; /* fleet A as it is published; what is attacked */
    int director, evil;    /* keys of the mock: online; the attacker's own */
    unsigned seed;
    int64_t now_s;
    size_t count;
    struct truth releases[MAX_RELEASES];
    struct signing_key *operators[OPERATORS], *mallory;
    struct keyring ring;
    uint64_t counter;             /* of the director for r1 */
    struct text_list assignments; /* that the director really signed: of r1 long ago, of r2, of fleet B */
    struct text_list approvals;   /* that people really signed: of whatever release */
    struct buf foreign_targets;   /* fleet B's targets, signed with the offline key of A */
    int64_t foreign_version;
    int64_t root_version, targets_version;
};

/* What the server gives to r1 now. */
struct server {
    struct world *world;
    char *assignment;
    size_t approval_count;
    char *approvals[MAX_APPROVALS];
    char *plan;
    char *blob;
    size_t blob_len;
    bool endless;    /* the blob does not end */
    int64_t clock_s; /* what the robot's clock shows: an attacker on the wire may hold its time server */
};

struct robot {
    struct tuf_shelf *shelf;
    struct store *store;
    uint64_t accepted;
    char floor[64], version[16];
    char director[65]; /* key of the director who signed what was accepted */
    int64_t time_floor_s;
};

unsigned draw(struct world *world, unsigned below);
char *copy_text(const char *text);
void keep(struct text_list *list, const char *text);

/* attack_world.c */
void world_init(struct world *world, unsigned seed);
void world_fini(struct world *world);
void world_next_day(struct world *world); /* the server renews what it signs */
void server_honest(struct server *server, struct world *world,
                   const struct truth *release); /* offers it as it should be */
void server_fini(struct server *server);
char *assign(const struct world *world, int key,
             const struct assignment *assignment); /* signed with that key of the mock */
struct assignment assignment_of(struct world *world, const struct truth *release);
char *approve(const struct world *world, const struct signing_key *key, const char *name,
              const struct truth *release, bool plan, int64_t issued_s);
void world_recover(struct world *world); /* offline keys rotate the online ones, and release once more */

/* attack_moves.c */
struct move {
    const char *name;
    void (*make)(struct server *server, struct robot *robot);
};
extern const struct move moves[];
extern const size_t move_count;

/* attack_robot.c */
void robot_init(struct robot *robot, struct world *world, struct store *store);
void robot_fini(struct robot *robot);
/* 1: installed, *out says what; 0: there was nothing to do; -1: refused, *err names the rule. */
int robot_try(struct robot *robot, struct server *server, struct digest *out, struct err *err);
int64_t robot_targets_version(const struct robot *robot, const struct world *world);

#endif
