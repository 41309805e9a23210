/* What the guard keeps over its death, on disks that are full, read-only or broken, and clocks that jump. */
#include "bench/faults.h"
#include "robot/guard/latch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

static bool ready(struct world *world, bool own_guard, struct sight *seen)
{
    return world_ready(world, &(struct needs){.active = PRIMARY, .own_guard = own_guard}, seen);
}

/* The stop, in force at once; what the guard remarks. */
static void stop(struct world *world, char remark[240], struct sight *seen)
{
    struct ctl_status status;
    int64_t struck_ns = now_ns();
    enum err_code said = command(world->operator_fd, CTL_VERB_STOP, 0, 0, NULL, remark);
    expect(seen, said == ERR_NONE, "the stop is refused: %s", remark);
    frame_look(world, frame_send(world, 0, LONG_US), seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
    expect(seen, status_get(world, &status, seen) && status.state == GUARD_SAFE_STOP,
           "the stop is not in force");
}

/* ---- the file ---- */

enum damage { FLIPPED, TRUNCATED, EMPTY, FOREIGN, NEWER, DIRECTORY, LONGER };

static void write_latch(const char *path, const void *bytes, size_t len, struct sight *seen)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    expect(seen, fd >= 0 && write(fd, bytes, len) == (ssize_t)len, "the latch cannot be damaged");
}

static void damage(const char *path, int how, struct sight *seen)
{
    uint8_t bytes[2 * sizeof(struct latch_record)] = {0};
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    expect(seen, fd >= 0 && read(fd, bytes, sizeof bytes) == sizeof(struct latch_record), "no latch file");
    size_t len = sizeof(struct latch_record);
    if (how == FLIPPED)
        bytes[30] ^= 1;
    else if (how == TRUNCATED)
        len -= 8;
    else if (how == EMPTY)
        len = 0;
    else if (how == LONGER)
        len += 8;
    else if (how == FOREIGN)
        memset(bytes, 'x', len);
    else if (how == NEWER)
        bytes[4] = 9;
    if (how != DIRECTORY)
        write_latch(path, bytes, len, seen);
    else
        expect(seen, unlink(path) == 0 && mkdir(path, 0700) == 0, "mkdir");
}

static void damaged(struct world *world, const struct fault_case *row, struct sight *seen)
{
    char path[128];
    struct ctl_status status;
    if (!ready(world, false, seen))
        return;
    latch_path(world, path, sizeof path);
    guard_kill(world, SIGKILL);
    damage(path, row->variant, seen);
    int64_t struck_ns = now_ns();
    if (guard_start(world, seen) && status_get(world, &status, seen)) {
        expect(seen, strstr(status.oversight.reason, "guard.latch") != NULL, "the reason is: %s",
               status.oversight.reason);
        expect(seen, status.oversight.lease > 1000000, "lease numbers begin anew");
    }
    if (row->variant == DIRECTORY)
        rmdir(path);
    if (robot_open(world, seen))
        frame_look(world, frame_send(world, 0, LONG_US), seen);
    seen->us = us_since(struck_ns);
}

/* ---- the disk ---- */

enum disk { FULL, FULL_FROM_START };

static bool mount_state(struct world *world, int how, struct sight *seen)
{
    char path[128];
    static const uint8_t ballast[4096];
    guard_kill(world, SIGTERM);
    if (!world->mounts ||
        mount("none", world->state_dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=700") < 0) {
        impossible(seen, "needs the right to mount");
        guard_start(world, seen);
        return false;
    }
    if (how != FULL_FROM_START && !guard_start(world, seen))
        return false;
    snprintf(path, sizeof path, "%s/ballast", world->state_dir);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, ballast, sizeof ballast) > 0)
        ;
    return how != FULL_FROM_START || guard_start(world, seen);
}

static void unmount_state(struct world *world, struct sight *seen)
{
    guard_kill(world, SIGKILL);
    expect(seen, umount2(world->state_dir, MNT_DETACH) == 0, "umount");
}

static void bad_disk(struct world *world, const struct fault_case *row, struct sight *seen)
{
    char remark[240] = "";
    if (!ready(world, false, seen) || !mount_state(world, row->variant, seen))
        return;
    if (!robot_open(world, seen))
        return;
    stop(world, remark, seen);
    bool kept = row->variant == FULL;
    expect(seen, kept == !remark[0], "the guard remarks: \"%s\"", remark);
    guard_kill(world, SIGKILL);
    if (!guard_start(world, seen))
        return;
    struct ctl_status status;
    if (kept)
        expect(seen, status_get(world, &status, seen) && status.state == GUARD_SAFE_STOP,
               "the stop is forgotten");
    unmount_state(world, seen);
    guard_start(world, seen);
}

/* Every fsync fails: EIO, ENOSPC, EROFS from below. In force, said not to be kept, and no way out meanwhile. */
static void no_sync(struct world *world, const struct fault_case *row, struct sight *seen)
{
    char remark[240] = "";
    if (!ready(world, true, seen))
        return;
    atomic_store(&underfoot->sync_errno, row->variant);
    stop(world, remark, seen);
    expect(seen, strstr(remark, "not kept") != NULL, "the guard remarks: \"%s\"", remark);
    expect(seen, command(world->operator_fd, CTL_VERB_RESET, 0, 0, NULL, NULL) == ERR_NONE,
           "the reset is refused");
    expect(seen, command(world->operator_fd, CTL_VERB_RESTART, 0, 0, NULL, remark) != ERR_NONE,
           "a latch is left that cannot be written down");
    atomic_store(&underfoot->sync_errno, 0);
}

/* The state directory is no directory: nothing can be kept, so nothing starts. */
static void no_directory(struct world *world, const struct fault_case *row, struct sight *seen)
{
    char away[128];
    if (!ready(world, false, seen))
        return;
    guard_kill(world, SIGKILL);
    snprintf(away, sizeof away, "%s.away", world->state_dir);
    cleanup_close int fd = -1;
    expect(seen,
           rename(world->state_dir, away) == 0 &&
               (fd = open(world->state_dir, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) >= 0,
           "rename");
    int64_t struck_ns = now_ns();
    if (guard_start(world, seen) && robot_open(world, seen)) {
        frame_look(world, frame_send(world, 0, LONG_US), seen);
        status_until(world, GUARD_SAFE_STOP, 0, seen);
        (void)command(world->operator_fd, CTL_VERB_RESET, 0, 0, NULL, NULL);
        expect(seen, command(world->operator_fd, CTL_VERB_RESTART, 0, 0, NULL, NULL) != ERR_NONE,
               "it starts");
    }
    seen->us = us_since(struck_ns);
    unlink(world->state_dir);
    expect(seen, rename(away, world->state_dir) == 0, "rename");
    struct ctl_status status;
    expect(seen, status_get(world, &status, seen) && status.state == GUARD_ACK_WAIT, "it is not in ack_wait");
    guard_kill(world, SIGKILL);
    guard_start(world, seen);
}

/* ---- the clock ---- */

static void step_clock(struct world *world, const struct fault_case *row, struct sight *seen)
{
    uint64_t lease = 0;
    if (!ready(world, true, seen))
        return;
    expect(seen, command(world->agent, CTL_VERB_OVERRIDE, 0, 2000, &lease, NULL) == ERR_NONE,
           "override is refused");
    int64_t struck_ns = now_ns();
    atomic_store(&underfoot->wall_step_s, row->variant * 86400ll);
    nap_us(20000);
    expect(seen, status_until(world, GUARD_OVERRIDE, 0, seen), "the lease is lost by a clock");
    expect(seen, command(world->agent, CTL_VERB_RENEW, lease, 200, NULL, NULL) == ERR_NONE,
           "renew is refused");
    int64_t renewed_ns = now_ns();
    expect(seen, status_until(world, GUARD_SAFE_STOP, 10000, seen), "the lease never ends");
    expect(seen, us_since(renewed_ns) > 150000, "the lease ended early");
    seen->us = us_since(struck_ns);
    frame_look(world, frame_send(world, 0, LONG_US), seen);
}

/* The clock jumps while frames come, a frame in hand. */
static void step_amid_frames(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, true, seen))
        return;
    int64_t struck_ns = now_ns();
    for (int i = 0; i < 20; i++) {
        uint64_t seq = frame_send(world, 0, LONG_US);
        atomic_store(&underfoot->wall_step_s, (i % 2 ? 1 : -1) * row->variant * 86400ll);
        frame_look(world, seq, seen);
        expect(seen, seen->answer == MUSTER_OK, "frame %d is answered %s", i,
               muster_answer_name(seen->answer));
    }
    seen->us = us_since(struck_ns);
}

#define HUMAN IS_SAFE, BECAUSE(OVERSIGHT)
#define DAMAGE(name_, says, how)                                                                             \
    {                                                                                                        \
        "latch_" name_, "SIGKILL of the guard, and the latch file " says, "the status names the file",       \
            damaged, HUMAN, GUARD_SAFE_STOP, ANSWERED, 500000, 5, how, NULL                                  \
    }

static const struct fault_case cases[] = {
    DAMAGE("flipped_bit", "with one bit changed", FLIPPED),
    DAMAGE("truncated", "cut short", TRUNCATED),
    DAMAGE("empty", "empty", EMPTY),
    DAMAGE("longer", "with something behind it", LONGER),
    DAMAGE("foreign", "full of something else", FOREIGN),
    DAMAGE("newer", "of a version to come", NEWER),
    DAMAGE("directory", "replaced by a directory", DIRECTORY),
    {"latch_full_disk", "a stop on a full disk (a tmpfs without room)",
     "safe_stop, written over in place: it outlives SIGKILL; standby is after the repair", bad_disk, HUMAN,
     GUARD_STANDBY, ANSWERED, 50000, 3, FULL, NULL},
    {"latch_full_disk_from_start", "the disk is full before the guard starts; a stop",
     "the reply says that it is not kept", bad_disk, HUMAN, GUARD_STANDBY, ANSWERED, 50000, 3,
     FULL_FROM_START, NULL},
    {"latch_eio", "a stop, and every fsync says EIO",
     "the reply says that it is not kept; no way out meanwhile", no_sync, HUMAN, GUARD_ACK_WAIT, ANSWERED,
     50000, 5, EIO, NULL},
    {"latch_enospc", "a stop, and every fsync says ENOSPC",
     "the reply says that it is not kept; no way out meanwhile", no_sync, HUMAN, GUARD_ACK_WAIT, ANSWERED,
     50000, 5, ENOSPC, NULL},
    {"latch_erofs", "a stop, and every fsync says EROFS",
     "the reply says that it is not kept; no way out meanwhile", no_sync, HUMAN, GUARD_ACK_WAIT, ANSWERED,
     50000, 5, EROFS, NULL},
    {"state_directory_is_none", "the state directory is a file",
     "safe_stop, and no way out, until the directory is back", no_directory, HUMAN, GUARD_STANDBY, ANSWERED,
     500000, 3, 0, NULL},
    {"clock_steps_forward", "the wall clock jumps 10 years ahead while a lease is held",
     "the lease lasts as long as it should", step_clock, HUMAN, GUARD_SAFE_STOP, NOT_TIMED, 0, 3, 3650, NULL},
    {"clock_steps_back", "the wall clock jumps 10 years back while a lease is held",
     "the lease lasts as long as it should", step_clock, HUMAN, GUARD_SAFE_STOP, NOT_TIMED, 0, 3, -3650,
     NULL},
    {"clock_jumps_amid_frames", "the wall clock jumps back and forth, a frame in hand each time",
     "every frame is answered", step_amid_frames, IS_OK, 0, GUARD_AUTO, ANSWERED, 100000, 5, 3650, NULL},
};
const struct group faults_latch = {cases, ARRAY_LEN(cases)};
