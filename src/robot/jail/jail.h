/* The walls around a runner: what it may see, as one plan that both kinds of wall carry out.
 *
 *     /usr/bin/muster-runner             ◀── the program                                   read-only, executable
 *     /usr/lib/…, /lib/…, /lib64/…       ◀── ONNX Runtime and what it loads, file by file   read-only
 *        or usr/, lib/, lib64/, etc/ of the release's engine image                          read-only
 *     /store/{oci-layout,index.json}         one release, alone                             made here
 *     /store/blobs/sha256/HEX            ◀── only that release's blobs                      read-only, no exec
 *     /run/muster/guard.sock             ◀── RUN_DIR/door: nothing but the guard's socket   read-only, no exec
 *     /dev/{null,zero,full,random,urandom} and the accelerators that the release asks for
 *     /proc (its own), /sys/devices/system/cpu                                              read-only
 *
 *     jail_plan ──▶ struct jail ──▶ sandbox.h   by ourselves: namespaces, Landlock, seccomp, limits, exec
 *                              └──▶ oci.h       config.json for crun or runc
 *
 * The root is empty but for this: no shell, no other program, no home, no key, no other release. The door is a
 * directory with a second name (hard link) of the guard's socket: when a new guard comes the agent links it
 * anew (door.h), and the runner finds it by itself; the socket alone, bound into the jail, would stay the dead
 * one's.
 */
#ifndef MUSTER_ROBOT_JAIL_H
#define MUSTER_ROBOT_JAIL_H

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { JAIL_MAX_BINDS = 256, JAIL_MAX_FILES = 8, JAIL_MAX_ARGS = 48 };

/* On top of the release's own budget: the engine's code and tables, stacks, page tables. */
enum {
    JAIL_ENGINE_MARGIN_MIB = 256,
    JAIL_ACCELERATOR_MARGIN_MIB = 1024,
    JAIL_THREADS_BESIDES = 16,
    JAIL_LOG_MAX_BYTES = 16 << 20
};

#define JAIL_STORE "/store"
#define JAIL_RUN "/run/muster"
#define JAIL_RUNNER "/usr/bin/muster-runner"

enum jail_kind {
    JAIL_PROGRAM, /* may be executed */
    JAIL_LIBRARY, /* may be mapped executable */
    JAIL_DATA,    /* may be read */
    JAIL_DEVICE,  /* may be read, written, asked (ioctl) */
    JAIL_DOOR,    /* may be walked through to a socket, nothing else */
};

struct jail_bind {
    char *source, *target; /* owned; target is absolute in the jail */
    enum jail_kind kind;
    bool directory;
};

struct jail_file {       /* made for the jail, not bound */
    char *target, *text; /* owned */
};

struct jail {
    char id[64]; /* muster-<run dir>-<generation>: of the container and of its cgroup */
    size_t bind_count, file_count, arg_count, env_count;
    struct jail_bind binds[JAIL_MAX_BINDS];
    struct jail_file files[JAIL_MAX_FILES];
    char *args[JAIL_MAX_ARGS], *env[JAIL_MAX_ARGS]; /* owned, NULL-terminated */
    bool hands_on;                                  /* descriptor 3 is for the runner (a content key) */
    bool in_place;                                  /* no mount namespace: targets are the sources */
    uid_t uid;
    gid_t gid;
    uint64_t memory_bytes;
    unsigned tasks;      /* processes and threads together */
    unsigned cpu_weight; /* 100 for a thread, as cgroup v2 counts */
};

struct jail_job {
    const char *run_dir, *store, *runner;
    const char *engines; /* directory of unpacked engine images; NULL: the host's files always */
    struct digest release;
    uint64_t generation; /* 0: a self-test */
    uid_t uid;
    gid_t gid;
    bool in_place, hands_on;
    const char *const *extra; /* further arguments of the runner; NULL-terminated, or NULL */
    const char *const
        *shown; /* further host paths that it may read (libraries of an accelerator); likewise */
};

/* Reads the release and finds out what it needs; unpacks its engine image if there is one and it has not been
 * unpacked yet. Errors: those of image_open, loader_list, engine_unpack. */
int jail_plan(const struct jail_job *job, struct jail **out, struct err *err) must_check;
void jail_free(struct jail *jail);
MUSTER_CLEANUP(struct jail *, jail_free)
#define cleanup_jail __attribute__((cleanup(jail_freep)))

/* Makes directories, files and empty mount points below `base`. Binds nothing yet. */
int jail_stage(const struct jail *jail, const char *base, struct err *err) must_check;

/* For plan.c and its like. */
int jail_bind(struct jail *jail, enum jail_kind kind, const char *source, const char *target, struct err *err)
    must_check; /* target NULL: the same path. A source that is there already: fine */

#endif
