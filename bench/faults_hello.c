/* Whoever says HELLO as what he is not: in a role that is not his, twice, or with memory that is none. While any of it lasts the
 * robot's frames are answered. */
#include "bench/faults.h"
#include "robot/ring/region.h"
#include "sys/proc.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

static bool ready(struct world *world, struct sight *seen)
{
    return world_ready(world, &(struct needs){.active = PRIMARY}, seen);
}

static int dial(struct world *world, struct sight *seen)
{
    int fd = -1;
    struct err err = {0};
    expect(seen, ctl_dial(world->run_dir, &fd, &err) == 0, "connect: %s", err.text);
    return fd;
}

static void frame_amid(struct world *world, int64_t struck_ns, struct sight *seen)
{
    frame_look(world, frame_send(world, 0, LONG_US), seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
}

/* Within a second. */
static void expect_hang_up(int fd, struct sight *seen)
{
    struct pollfd look = {.fd = fd, .events = 0};
    expect(seen, poll(&look, 1, 1000) == 1 && (look.revents & POLLHUP), "the guard keeps the connection");
}

/* ---- roles ---- */

struct claim {
    enum ctl_role role;
    enum ctl_kind kind;
};

static void wrong_role(struct world *world, const struct fault_case *row, struct sight *seen)
{
    const struct claim *claim = row->detail;
    struct ctl_message message;
    struct err err = {0};
    if (!ready(world, seen))
        return;
    cleanup_close int fd = dial_as(world, claim->role, seen);
    ctl_message_init(&message, claim->kind);
    message.generation = claim->kind == CTL_ACTIVATE ? 0 : PRIMARY;
    message.count = 1;
    message.command = (struct ctl_command){.verb = CTL_VERB_STOP, .who = "nobody", .reason = "none"};
    int64_t struck_ns = now_ns();
    expect(seen, ctl_send(fd, &message, NULL, &err) == 0, "%s", err.text);
    frame_amid(world, struck_ns, seen);
    expect_hang_up(fd, seen);
    if (claim->role == CTL_ROLE_ESTOP) /* a mirror that is shown the door is gone: pressed */
        status_until(world, row->state, PATIENCE_MS, seen);
}

/* Whoever serves as a runner, or as the robot program, gives no orders. */
static void orders_from_below(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_message message;
    struct err err = {0};
    uint64_t who = row->variant ? PUPPET : PRIMARY;
    if (!world_ready(world, &(struct needs){.active = who}, seen))
        return;
    ctl_message_init(&message, CTL_ACTIVATE);
    int64_t struck_ns = now_ns();
    if (row->variant) {
        expect(seen, ctl_send(world->puppet.sock, &message, NULL, &err) == 0, "%s", err.text);
        frame_amid(world, struck_ns, seen);
        expect_hang_up(world->puppet.sock, seen);
        return;
    }
    cleanup_close int other = dial(world, seen);
    ctl_message_init(&message, CTL_HELLO);
    message.role = CTL_ROLE_CLIENT; /* a second robot program */
    struct ring frames;
    expect(seen, ring_create(&frames, RING_FRAMES, 8, 64, &err) == 0, "%s", err.text);
    struct ctl_fds fds = {.fd = {frames.fd, -1}};
    expect(seen, ctl_send(other, &message, &fds, &err) == 0, "%s", err.text);
    frame_amid(world, struck_ns, seen);
    expect_hang_up(other, seen);
    ring_fini(&frames);
}

/* This program again, as an image named muster-runner: says HELLO in the given role. */
static void runner_poses(struct world *world, const struct fault_case *row, struct sight *seen)
{
    char dir[] = "/tmp/muster-faults-XXXXXX", path[64], role[8]; /* in memory it may not be executable */
    struct stat st;
    if (!ready(world, seen))
        return;
    expect(seen, mkdtemp(dir) != NULL, "%s", dir);
    snprintf(path, sizeof path, "%s/muster-runner", dir);
    snprintf(role, sizeof role, "%d", row->variant);
    cleanup_close int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    bool copied = from >= 0 && to >= 0 && fstat(from, &st) == 0 &&
                  sendfile(to, from, NULL, (size_t)st.st_size) == st.st_size;
    mem_cleanup_close(&to);
    const char *const argv[] = {path, "--pose", world->run_dir, role, NULL};
    int status = -1;
    struct err err = {0};
    int64_t struck_ns = now_ns();
    bool ran = copied && proc_run(argv, PATIENCE_MS, NULL, &status, &err) == 0;
    seen->us = us_since(struck_ns);
    unlink(path);
    rmdir(dir);
    if (!expect(seen, ran, "%s", err.text))
        return;
    expect(seen, status == 10 + ERR_DENIED, "HELLO is answered with %d, not with a refusal", status);
    frame_look(world, frame_send(world, 0, LONG_US), seen);
}

/* A second runner for a generation that has one, or of another release. */
static void second_runner(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_message hello;
    struct err err = {0};
    union ctl_packet packet;
    struct ring results;
    if (!ready(world, seen))
        return;
    cleanup_close int fd = dial(world, seen);
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_RUNNER;
    hello.generation = PRIMARY;
    if (!row->variant) { /* variant 1: of no release at all */
        hello.release = (struct digest){{0xfa, 0x17}};
        hello.release.bytes[8] = PRIMARY;
    }
    expect(seen, ring_create(&results, RING_RESULTS, 8, 0, &err) == 0, "%s", err.text);
    struct ctl_fds fds = {.fd = {results.fd, -1}}, got;
    int64_t struck_ns = now_ns();
    expect(seen,
           ctl_send(fd, &hello, &fds, &err) == 0 && ctl_await(fd, &packet, &got, PATIENCE_MS, &err) == 1,
           "%s", err.text);
    seen->us = us_since(struck_ns);
    expect(seen, packet.message.kind == CTL_REPLY && packet.message.result != 0, "it is taken");
    ring_fini(&results);
    frame_look(world, frame_send(world, 0, LONG_US), seen);
}

static void second_guard(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, seen))
        return;
    cleanup_free char *bin = proc_self_dir();
    cleanup_free char *path = mem_printf("%s/muster-guard", bin ? bin : ".");
    cleanup_free char *quiet =
        mem_printf("exec '%s' --run-dir '%s' 2>'%s/second.log'", path, world->run_dir, world->dir);
    const char *const argv[] = {"/bin/sh", "-c", quiet, NULL};
    int status = 0;
    struct err err = {0};
    int64_t struck_ns = now_ns();
    expect(seen, proc_run(argv, PATIENCE_MS, NULL, &status, &err) == 0, "%s", err.text);
    seen->us = us_since(struck_ns);
    expect(seen, status != 0, "a second guard runs in the same directory");
    frame_look(world, frame_send(world, 0, LONG_US), seen);
}

/* ---- memory in a HELLO ---- */

enum memory {
    UNSEALED,
    WRITABLE_BY_OTHERS,
    TOO_SHORT,
    NO_HEAD,
    OTHER_KIND,
    THREE_SLOTS,
    GIANT,
    HUGE_PAGES,
    PLAIN_FILE,
    PIPE,
    NONE
};

static int sealed(int fd, int seals)
{
    fcntl(fd, F_ADD_SEALS, seals);
    return fd;
}

static int made_memory(struct world *world, int what, struct sight *seen)
{
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    struct region_head head = {.magic = REGION_MAGIC,
                               .version = REGION_VERSION,
                               .kind = RING_RESULTS,
                               .slot_count = 8,
                               .body_bytes = sizeof(struct ring_result)};
    head.stride = (REGION_SLOT_HEAD + head.body_bytes + 63) / 64 * 64;
    size_t size = REGION_SLOTS + head.stride * head.slot_count;
    if (what == NONE)
        return -1;
    if (what == PIPE) {
        int ends[2] = {-1, -1};
        expect(seen, pipe(ends) == 0, "pipe");
        close(ends[1]);
        return ends[0];
    }
    head.kind = what == OTHER_KIND ? RING_FRAMES : head.kind;
    head.slot_count = what == THREE_SLOTS ? 3 : head.slot_count;
    head.body_bytes = what == GIANT ? UINT64_MAX / 2 : head.body_bytes;
    size = what == TOO_SHORT ? size - 4096 : size;
    char path[128];
    snprintf(path, sizeof path, "%s/plain", world->dir);
    int fd =
        what == PLAIN_FILE
            ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
            : memfd_create("fault", MFD_CLOEXEC | MFD_ALLOW_SEALING | (what == HUGE_PAGES ? MFD_HUGETLB : 0));
    if (what == HUGE_PAGES) {
        if (fd < 0 || ftruncate(fd, 2 << 20) < 0)
            impossible(seen, "no huge pages here");
        return fd < 0 ? fd : sealed(fd, all);
    }
    expect(seen, fd >= 0 && ftruncate(fd, (off_t)size) == 0, "memory");
    if (what != NO_HEAD)
        expect(seen, pwrite(fd, &head, sizeof head, 0) == sizeof head, "memory");
    return what == UNSEALED ? fd : sealed(fd, what == WRITABLE_BY_OTHERS ? F_SEAL_SHRINK | F_SEAL_GROW : all);
}

static void bad_memory(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_message hello;
    struct err err = {0};
    union ctl_packet packet;
    struct ctl_fds got;
    if (!ready(world, seen))
        return;
    cleanup_close int memory = made_memory(world, row->variant, seen);
    cleanup_close int fd = dial(world, seen);
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_RUNNER;
    hello.generation = CANDIDATE;
    struct ctl_fds fds = {.fd = {memory, -1}};
    int64_t struck_ns = now_ns();
    if (!expect(seen,
                ctl_send(fd, &hello, &fds, &err) == 0 && ctl_await(fd, &packet, &got, PATIENCE_MS, &err) == 1,
                "%s", err.text))
        return;
    ctl_fds_close(&got);
    expect(seen, packet.message.kind == CTL_REPLY && packet.message.result != 0, "it is taken");
    expect_hang_up(fd, seen);
    frame_amid(world, struck_ns, seen);
}

#define FINE .answers = IS_OK, .state = GUARD_AUTO, .measure = ANSWERED
#define MEMORY(name_, says, what)                                                                            \
    {                                                                                                        \
        .name = "hello_" name_, .injected = "a runner's HELLO with " says,                                   \
        .also = "refused with the reason", .inject = bad_memory, FINE, .bound_us = 20000, .share = 5,        \
        .variant = what                                                                                      \
    }
#define POSE(name_, says, role)                                                                              \
    {                                                                                                        \
        .name = "runner_poses_as_" name_, .injected = "a program named muster-runner says HELLO as " says,   \
        .also = "refused (denied)", .inject = runner_poses, FINE, .bound_us = 500000, .share = 3,            \
        .variant = role                                                                                      \
    }
#define ROLE(name_, says, role_, kind_)                                                                      \
    {                                                                                                        \
        .name = name_, .injected = says, .also = "the connection is closed", .inject = wrong_role, FINE,     \
        .bound_us = 20000, .share = 5, .detail = &(const struct claim)                                       \
        {                                                                                                    \
            role_, kind_                                                                                     \
        }                                                                                                    \
    }

static const struct fault_case cases[] = {
    ROLE("observer_gives_command", "an observer sends a stop", CTL_ROLE_OBSERVER, CTL_COMMAND),
    ROLE("observer_gives_order", "an observer takes the active generation away", CTL_ROLE_OBSERVER,
         CTL_ACTIVATE),
    ROLE("operator_gives_order", "a local operator takes the active generation away", CTL_ROLE_OPERATOR,
         CTL_ACTIVATE),
    ROLE("agent_presses_estop", "an agent mirrors an emergency stop", CTL_ROLE_AGENT, CTL_ESTOP),
    {.name = "estop_mirror_gives_command",
     .injected = "an e-stop mirror sends a restart",
     .also = "the connection is closed, which counts as pressed",
     .inject = wrong_role,
     .answers = IS_OK | IS_SAFE,
     .state = GUARD_ESTOP,
     .measure = ANSWERED,
     .bound_us = 20000,
     .share = 3,
     .detail = &(const struct claim){CTL_ROLE_ESTOP, CTL_COMMAND}},
    {.name = "runner_gives_order",
     .injected = "the active runner takes the active generation away",
     .also = "it is shown the door, and so lost",
     .inject = orders_from_below,
     .answers = IS_SAFE,
     .reasons = BECAUSE(RUNNER_LOST),
     .state = GUARD_STANDBY,
     .measure = ANSWERED,
     .bound_us = 20000,
     .share = 5,
     .variant = 1},
    {.name = "second_robot_program",
     .injected = "a second robot program says HELLO",
     .also = "refused",
     .inject = orders_from_below,
     FINE,
     .bound_us = 20000,
     .share = 5},
    {.name = "second_runner",
     .injected = "a second runner for a generation that has one",
     .also = "refused",
     .inject = second_runner,
     FINE,
     .bound_us = 20000,
     .share = 5},
    {.name = "runner_of_other_release",
     .injected = "a runner of another release under the active generation's number",
     .also = "refused",
     .inject = second_runner,
     FINE,
     .bound_us = 20000,
     .share = 5,
     .variant = 1},
    {.name = "second_guard",
     .injected = "a second guard in the same directory",
     .also = "it ends",
     .inject = second_guard,
     FINE,
     .bound_us = 500000,
     .share = 3},
    POSE("agent", "an agent", CTL_ROLE_AGENT),
    POSE("operator", "a local operator", CTL_ROLE_OPERATOR),
    POSE("observer", "an observer", CTL_ROLE_OBSERVER),
    MEMORY("unsealed", "memory that is not sealed", UNSEALED),
    MEMORY("half_sealed", "memory that others may write", WRITABLE_BY_OTHERS),
    MEMORY("too_short", "memory one page too short", TOO_SHORT),
    MEMORY("no_head", "memory full of zeros", NO_HEAD),
    MEMORY("other_kind", "a region of another kind", OTHER_KIND),
    MEMORY("three_slots", "a region of three slots", THREE_SLOTS),
    MEMORY("giant_body", "a region whose entries are 2^63 bytes", GIANT),
    MEMORY("huge_pages", "memory of huge pages", HUGE_PAGES),
    MEMORY("plain_file", "a file on disk", PLAIN_FILE),
    MEMORY("pipe", "a pipe", PIPE),
    MEMORY("no_descriptor", "no memory at all", NONE),
};
const struct group faults_hello = {cases, ARRAY_LEN(cases)};
