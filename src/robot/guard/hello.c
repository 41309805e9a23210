/* A robot program or a runner introduces itself, with the memory that only it can write. */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/guard/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>

static int welcome(const struct guard_peer *peer, uint64_t number, int fd, int fd2, struct err *err)
{
    struct ctl_message message;
    struct ctl_fds fds = {.fd = {fd, fd2}};
    ctl_message_init(&message, CTL_WELCOME);
    message.generation = number;
    return ctl_send(peer->fd, &message, &fds, err);
}

/* Every runner is sent the new frames; whoever answers is told from which one on. Observers get to see everything. */
static void announce(struct guard *guard)
{
    for (int i = 0; i < GUARD_MAX_PEERS; i++)
        if (guard->peers[i].used && guard->peers[i].role == CTL_ROLE_OBSERVER)
            guard_tell_stream(guard, &guard->peers[i], true);
    for (int i = 0; i < CTL_MAX_RUNNERS; i++)
        if (guard->runners[i].peer)
            guard_tell_stream(guard, guard->runners[i].peer, false);
    guard_direct(guard);
}

static int stream_start(struct guard *guard, struct guard_peer *peer, struct ring *frames, int64_t now_ns,
                        struct err *err)
{
    struct guard_stream *stream = &guard->stream;
    uint64_t seen = ring_newest(frames); /* before WELCOME: every frame after it is ours to decide */
    struct ring verdicts;
    if (ring_create(&verdicts, RING_VERDICTS, frames->slot_count, 0, err) < 0)
        return -1;
    uint64_t number = guard->epoch + ++guard->streams;
    if (welcome(peer, number, verdicts.fd, -1, err) < 0) {
        ring_fini(&verdicts);
        return -1;
    }
    stream->peer = peer;
    stream->frames = *frames;
    stream->verdicts = verdicts;
    stream->number = number;
    stream->seen = seen;
    stream->last_frame_ns = now_ns;
    guard_monitor_init(&stream->monitor);
    guard_shadow_forget(guard);
    memset(stream->entries, 0, sizeof stream->entries);
    return 0;
}

static int hello_client(struct guard *guard, struct guard_peer *peer, struct ctl_fds *fds, int64_t now_ns,
                        struct err *err)
{
    struct ring frames;
    if (guard->stream.peer && guard_peer_gone(guard->stream.peer))
        guard_peer_drop(guard, guard->stream.peer, now_ns);
    if (guard->stream.peer)
        return err_set(err, ERR_BUSY, "a robot program (process %d) is connected already",
                       (int)guard->stream.peer->pid);
    if (ring_attach(&frames, TAKE_FD(fds->fd[0]), RING_FRAMES, err) < 0)
        return -1;
    if (stream_start(guard, peer, &frames, now_ns, err) < 0) {
        ring_fini(&frames);
        return -1;
    }
    log_info("robot program %d is connected", (int)peer->pid);
    announce(guard);
    return 0;
}

void guard_runner_disconnect(struct guard *guard, struct guard_runner *runner)
{
    ring_fini(&runner->results);
    ring_fini(&runner->control);
    mem_cleanup_close(&runner->bell_fd);
    runner->bell_fd = -1;
    runner->mode = RING_MODE_IDLE;
    runner->draining = false;
    runner->shadow_left = 0;
    runner->control_seq = runner->shadow_seq = 0;
    runner->peer = NULL;
}

/* The bell is a pipe: its write wakes the reader on the writer's own core when the writer is about to sleep (an eventfd's
 * goes to another core, which may have to be woken first). The runner gets the other end and cannot touch
 * ours. */
static int runner_memory(struct guard *guard, struct guard_runner *runner, struct ctl_fds *fds, int *out_bell,
                         struct err *err)
{
    if (ring_attach(&runner->results, TAKE_FD(fds->fd[0]), RING_RESULTS, err) < 0)
        return -1;
    if (ring_create(&runner->control, RING_CONTROL, 2, 0, err) < 0)
        return -1;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_errno(err, "pipe");
    runner->bell_fd = ends[0];
    *out_bell = ends[1];
    runner->next_result = ring_newest(&runner->results) + 1;
    return guard_watch(guard, runner->bell_fd, EPOLLIN | EPOLLET, GUARD_BY_BELL,
                       (size_t)(runner - guard->runners), err);
}

static struct guard_runner *runner_place(struct guard *guard, const struct ctl_message *hello, int64_t now_ns,
                                         struct err *err)
{
    struct guard_runner *runner =
        hello->generation ? guard_runner_slot(guard, hello->generation, &hello->release) : NULL;
    if (!runner) {
        err_set(err, ERR_REFUSED, "generation %llu has no place here", (unsigned long long)hello->generation);
        return NULL;
    }
    if (runner->peer && guard_peer_gone(runner->peer))
        guard_peer_drop(guard, runner->peer, now_ns);
    if (runner->peer) {
        err_set(err, ERR_EXISTS, "generation %llu has a runner already (process %d)",
                (unsigned long long)hello->generation, (int)runner->peer->pid);
        return NULL;
    }
    if (runner->generation == 0) /* its predecessor was not admitted and took the slot with it */
        return runner_place(guard, hello, now_ns, err);
    if (!digest_equal(&runner->release, &hello->release)) {
        err_set(err, ERR_REFUSED, "generation %llu is of another release",
                (unsigned long long)hello->generation);
        return NULL;
    }
    return runner;
}

static int hello_runner(struct guard *guard, struct guard_peer *peer, const struct ctl_message *hello,
                        struct ctl_fds *fds, int64_t now_ns, struct err *err)
{
    struct guard_runner *runner = runner_place(guard, hello, now_ns, err);
    if (!runner)
        return -1;
    cleanup_close int bell = -1;
    if (runner_memory(guard, runner, fds, &bell, err) < 0 ||
        welcome(peer, runner->generation, runner->control.fd, bell, err) < 0) {
        guard_runner_disconnect(guard, runner);
        if (!runner->admitted)
            runner->generation = 0;
        return -1;
    }
    runner->peer = peer;
    runner->hung = false;
    runner->degraded = hello->count == 1;
    str_copy(runner->backend, sizeof runner->backend, hello->text);
    peer->runner = runner;
    /* Its death may be known here before its socket, shared or slow to close, says so. */
    struct err ignored = {0};
    if (guard_watch(guard, peer->pid_fd, EPOLLIN, GUARD_BY_DEATH, (size_t)(peer - guard->peers), &ignored) <
        0)
        log_debug("runner %d: %s", (int)peer->pid, ignored.text);
    if (guard->stream.peer)
        guard_tell_stream(guard, peer, false);
    log_info("runner %d of generation %llu is connected", (int)peer->pid,
             (unsigned long long)runner->generation);
    guard_runners_changed(guard, now_ns);
    return 0;
}

static bool read_link(pid_t pid, const char *what, char *out, size_t size)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
    ssize_t len = readlink(path, out, size - 1);
    out[MAX(len, 0)] = 0;
    return len > 0;
}

static bool is_runners_image(const char *image)
{
    const char *last = strrchr(image, '/');
    return !last || str_starts(last, "/muster-runner");
}

/* A runner cannot exec and cannot change its image (runner/confine.h), and where its walls are thicker it lives in a PID
 * namespace of its own: that tells what it is, whatever it says. Whoever does not let itself be looked at counts as one. */
bool guard_peer_is_runner(const struct guard_peer *peer)
{
    char image[PATH_MAX], ours[64], theirs[64];
    if (peer->foreign || !read_link(peer->pid, "exe", image, sizeof image) || is_runners_image(image))
        return true;
    return !read_link(getpid(), "ns/pid", ours, sizeof ours) ||
           !read_link(peer->pid, "ns/pid", theirs, sizeof theirs) || !str_eq(ours, theirs);
}

/* A robot program may live in a container of its own, and may hide its memory. */
static bool may_be_client(const struct guard_peer *peer)
{
    char image[PATH_MAX];
    return !peer->foreign && (!read_link(peer->pid, "exe", image, sizeof image) || !is_runners_image(image));
}

/* Agent, operator, e-stop mirror, observer: nothing to hand over. */
static int hello_plain(struct guard *guard, const struct guard_peer *peer, uint32_t role, struct err *err)
{
    if (guard_peer_is_runner(peer))
        return err_set(err, ERR_DENIED, "process %d is a runner, or hides its program: no orders from it",
                       (int)peer->pid);
    if (welcome(peer, guard->epoch, -1, -1, err) < 0)
        return -1;
    if (role == CTL_ROLE_OBSERVER && guard->stream.peer)
        guard_tell_stream(guard, peer, true);
    return 0;
}

int guard_hello(struct guard *guard, struct guard_peer *peer, const struct ctl_message *hello,
                struct ctl_fds *fds, int64_t now_ns, struct err *err)
{
    if (peer->role != 0)
        return err_set(err, ERR_CONFLICT, "one HELLO is enough");
    int done = -1;
    if (hello->role == CTL_ROLE_RUNNER)
        done = hello_runner(guard, peer, hello, fds, now_ns, err);
    else if (hello->role != CTL_ROLE_CLIENT)
        done = hello_plain(guard, peer, hello->role, err);
    else if (may_be_client(peer))
        done = hello_client(guard, peer, fds, now_ns, err);
    else
        err_set(err, ERR_DENIED, "process %d is a runner: no frames from it", (int)peer->pid);
    peer->role = done == 0 ? hello->role : 0;
    return done;
}
