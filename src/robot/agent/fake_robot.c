/* For agent_test: a guard and runners without frames. One program, which of them it plays follows from its
 * arguments:
 *
 *     agent-fake --run-dir DIR                                the guard: speaks ctl.h, invents frames as it
 * is asked agent-fake --run-dir DIR --release D --generation N …   a runner: connects, stays until told to go
 *
 *     agent-fake --build-engine --release D --cache DIR …     makes an "engine" that a degraded runner wants
 *
 * What is wrong with a release is said in $MUSTER_FAKE_SCRIPT/<hex digest>: "slow", "weird" (the guard steps
 * in often), "fails-test", "dies" (its runner does not start), "disagrees" and "unsound" (as a shadow), "wants-engine", "fails-engine", "deadly-engine"
 * (its runner is degraded without one), "idle" (no frames
 * come while it answers). Humans: HOLD, FALLBACK and RELEASE, from anybody. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/ctl/ctl.h"
#include "sys/file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { MAX_PEERS = 16, FRAMES_PER_LOOK = 40 };

struct peer {
    int fd; /* -1: free */
    uint32_t role;
    uint64_t generation;
    pid_t pid;
};

static struct peer peers[MAX_PEERS];
static struct ctl_status_packet packet;
static enum guard_state human; /* what a human ordered; 0: nothing */

static bool script_says(const struct digest *release, const char *word)
{
    const char *dir = getenv("MUSTER_FAKE_SCRIPT");
    struct digest_text text = digest_format(release);
    cleanup_free char *path = mem_printf("%s/%s", dir ? dir : ".", digest_hex(&text));
    cleanup_buf struct buf said = BUF_INIT(4096);
    struct err ignored = {0};
    return file_read(path, &said, &ignored) == 0 && strstr(buf_text(&said), word);
}

/* The guard. */

static struct ctl_runner_status *runner_of(uint64_t generation)
{
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++)
        if (packet.status.runners[i].generation == generation)
            return &packet.status.runners[i];
    return NULL;
}

static struct ctl_runner_status *runner_place(uint64_t generation, const struct digest *release)
{
    struct ctl_runner_status *runner = runner_of(generation);
    if (!runner && (runner = runner_of(0)))
        *runner = (struct ctl_runner_status){.generation = generation, .release = *release};
    return runner;
}

static void invent_shadow(struct ctl_runner_status *runner)
{
    uint32_t frames = MIN(runner->shadow_left, (uint32_t)FRAMES_PER_LOOK);
    bool unsound = script_says(&runner->release, "unsound");
    runner->shadow_left -= frames;
    runner->shadow_failed += unsound ? frames : 0;
    runner->shadow_frames += unsound ? 0 : frames;
    runner->shadow_agreed += unsound || script_says(&runner->release, "disagrees") ? 0 : frames;
}

/* What robot, runner and checks would have done since the last look. */
static void invent_frames(void)
{
    struct ctl_runner_status *runner = runner_of(packet.status.active_generation);
    if (!packet.status.active_generation || !runner || !runner->connected || human ||
        script_says(&runner->release, "idle"))
        return;
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++)
        invent_shadow(&packet.status.runners[i]);
    struct ctl_counters *counters = &runner->counters;
    bool slow = script_says(&runner->release, "slow"), weird = script_says(&runner->release, "weird");
    counters->frames += FRAMES_PER_LOOK;
    counters->infer_us[slow ? 130 : 100] += FRAMES_PER_LOOK;
    counters->frame_us[slow ? 131 : 101] += FRAMES_PER_LOOK;
    counters->results += weird ? FRAMES_PER_LOOK / 2 : FRAMES_PER_LOOK;
    counters->interventions[INTERVENED_RANGE] += weird ? FRAMES_PER_LOOK / 2 : 0;
}

static void settle(void)
{
    struct ctl_runner_status *runner = runner_of(packet.status.active_generation);
    bool live = packet.status.active_generation && runner && runner->connected && runner->admitted;
    packet.status.state = human ? human : live ? GUARD_AUTO : GUARD_STANDBY;
}

static int32_t obey(const struct ctl_message *order)
{
    struct ctl_runner_status *runner = order->generation ? runner_of(order->generation) : NULL;
    if (order->kind == CTL_ADMIT) {
        if (order->generation == 0 || order->limits.deadline_us == 0 || order->limits.label_count == 0)
            return ERR_INVALID;
        runner = runner_place(order->generation, &order->release);
        if (!runner)
            return ERR_TOO_BIG;
        runner->admitted = 1;
    } else if (order->kind == CTL_ACTIVATE) {
        if (order->generation && !(runner && runner->connected && runner->admitted))
            return ERR_CONFLICT;
        packet.status.active_generation = order->generation;
        packet.status.fallback_generation = order->fallback;
    } else if (order->kind == CTL_SHADOW) {
        if (!runner || !runner->connected || order->generation == packet.status.active_generation)
            return ERR_CONFLICT;
        runner->shadow_left = order->count;
        runner->shadow_frames = runner->shadow_agreed = runner->shadow_failed = 0;
    } else if (order->kind == CTL_COMMAND) {
        human = order->command.verb == CTL_VERB_HOLD       ? GUARD_HOLD
                : order->command.verb == CTL_VERB_FALLBACK ? GUARD_FORCED
                                                           : GUARD_INIT;
    } else if (runner) {
        for (size_t i = 0; i < MAX_PEERS; i++)
            if (peers[i].fd >= 0 && peers[i].generation == order->generation)
                kill(peers[i].pid, SIGTERM);
        *runner = (struct ctl_runner_status){0};
    }
    return 0;
}

static void answer(const struct peer *peer, const struct ctl_message *order)
{
    struct err ignored = {0};
    struct ctl_message reply;
    ctl_message_init(&reply, CTL_REPLY);
    reply.count = order->kind;
    reply.generation = order->generation;
    reply.fallback = order->fallback;
    reply.result = obey(order);
    settle();
    if (ctl_send(peer->fd, &reply, NULL, &ignored) < 0)
        return;
}

static void drop(struct peer *peer)
{
    struct ctl_runner_status *runner = peer->generation ? runner_of(peer->generation) : NULL;
    if (runner && runner->pid == peer->pid) {
        runner->connected = 0;
        runner->restarts++;
    }
    close(peer->fd);
    *peer = (struct peer){.fd = -1};
    settle();
}

static void hello(struct peer *peer, const struct ctl_message *message)
{
    struct err ignored = {0};
    struct ucred who = {0};
    socklen_t len = sizeof who;
    struct ctl_message welcome;
    peer->role = message->role;
    getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
    peer->pid = who.pid;
    if (message->role == CTL_ROLE_RUNNER) {
        struct ctl_runner_status *runner = runner_place(message->generation, &message->release);
        if (!runner || runner->connected) {
            drop(peer);
            return;
        }
        peer->generation = message->generation;
        runner->connected = 1;
        runner->pid = peer->pid;
        str_copy(runner->backend, sizeof runner->backend, message->text);
        runner->degraded = message->count != 0;
        settle();
    }
    ctl_message_init(&welcome, CTL_WELCOME);
    if (ctl_send(peer->fd, &welcome, NULL, &ignored) < 0)
        drop(peer);
}

static void serve(struct peer *peer)
{
    union ctl_packet got;
    struct err err = {0};
    cleanup_ctl_fds struct ctl_fds fds;
    ctl_fds_init(&fds);
    int rc = ctl_recv(peer->fd, &got, &fds, &err);
    if (rc < 0) {
        drop(peer);
    } else if (rc == 0) {
        return;
    } else if (got.message.kind == CTL_HELLO) {
        hello(peer, &got.message);
    } else if (got.message.kind == CTL_STATUS_REQUEST) {
        invent_frames();
        ctl_message_init(&packet.header, CTL_STATUS);
        if (ctl_send(peer->fd, &packet.header, NULL, &err) < 0)
            drop(peer);
    } else {
        answer(peer, &got.message);
    }
}

static void accept_peer(int listen_fd)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    for (size_t i = 0; fd >= 0 && i < MAX_PEERS; i++)
        if (peers[i].fd < 0) {
            peers[i] = (struct peer){.fd = fd};
            return;
        }
    if (fd >= 0)
        close(fd);
}

static int play_guard(const char *run_dir)
{
    struct err err = {0};
    int lock;
    cleanup_free char *lock_path = file_join(run_dir, "guard.lock");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/guard.sock", run_dir);
    if (file_lock(lock_path, &lock, &err) < 0)
        return 1;
    unlink(address.sun_path);
    int listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (bind(listen_fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(listen_fd, 8) < 0)
        return 1;
    packet.status.epoch = (uint64_t)clock_mono_ns();
    packet.status.client_connected = 1;
    for (size_t i = 0; i < MAX_PEERS; i++)
        peers[i].fd = -1;
    for (;;) {
        struct pollfd fds[MAX_PEERS + 1] = {{.fd = listen_fd, .events = POLLIN}};
        for (size_t i = 0; i < MAX_PEERS; i++)
            fds[i + 1] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
        if (poll(fds, MAX_PEERS + 1, 1000) < 0 || !file_exists(address.sun_path))
            return 1; /* a test that was killed leaves nothing behind for long */
        for (size_t i = 0; i < MAX_PEERS; i++)
            if (peers[i].fd >= 0 && fds[i + 1].fd == peers[i].fd && fds[i + 1].revents)
                serve(&peers[i]);
        if (fds[0].revents)
            accept_peer(listen_fd);
    }
}

/* A runner. */

/* False: refused, or told to go. */
static bool stay_connected(const char *run_dir, const struct digest *release, uint64_t generation,
                           bool engine)
{
    struct err err = {0};
    cleanup_close int fd = -1;
    struct ctl_message message;
    if (ctl_dial(run_dir, &fd, &err) < 0)
        return true;
    ctl_message_init(&message, CTL_HELLO);
    message.role = CTL_ROLE_RUNNER;
    message.release = *release;
    message.generation = generation;
    message.count = !engine && script_says(release, "wants-engine");
    str_copy(message.text, sizeof message.text,
             engine ? "played 1.0 tensorrt (cache hit)" : "played 1.0 cpu");
    if (ctl_send(fd, &message, NULL, &err) < 0)
        return true;
    bool welcome = false;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        union ctl_packet got;
        cleanup_ctl_fds struct ctl_fds fds;
        ctl_fds_init(&fds);
        poll(&wait, 1, -1);
        int rc = ctl_recv(fd, &got, &fds, &err);
        if (rc < 0)
            return welcome;
        if (rc > 0 && got.message.kind == CTL_WELCOME)
            welcome = true;
        else if (rc > 0 && got.message.kind == CTL_EXIT)
            return false;
    }
}

static int play_builder(const struct digest *release, const char *cache)
{
    struct err err = {0};
    cleanup_free char *path = file_join(cache, "engine");
    if (script_says(release, "fails-engine")) {
        fprintf(stderr, "muster-runner: tensorrt-trtexec: out of memory\n");
        return 3;
    }
    return path && file_make_dirs(cache, 0755, &err) == 0 && file_replace(path, "engine", 6, 0644, &err) == 0
               ? 0
               : 1;
}

/* An engine that takes its runner down with it, unless that runs on the processor alone. */
static bool engine_kills(const struct digest *release, bool engine)
{
    return engine && script_says(release, "deadly-engine");
}

static int play_runner(const char *run_dir, const struct digest *release, uint64_t generation, bool engine)
{
    if (engine_kills(release, engine))
        return 1;
    if (script_says(release, "dies")) {
        fprintf(stderr, "muster-runner: the model cannot be loaded\n");
        return 3;
    }
    if (script_says(release, "fails-test")) {
        fprintf(stderr, "muster-runner: self-test: case 1: output0[17] is 0.5, golden is 0.9\n");
        return 3;
    }
    int64_t until_ms = clock_mono_ms() + 20000; /* a test that was killed leaves nothing behind for long */
    while (clock_mono_ms() < until_ms && stay_connected(run_dir, release, generation, engine))
        usleep(20000);
    return 0;
}

int main(int argc, char **argv)
{
    const char *run_dir = NULL, *cache = NULL;
    struct digest release = {0};
    uint64_t generation = 0;
    bool build = false, cpu_only = false;
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && str_eq(argv[i], "--run-dir"))
            run_dir = argv[++i];
        else if (i + 1 < argc && str_eq(argv[i], "--release") && !digest_parse(argv[++i], &release))
            return 2;
        else if (i + 1 < argc && str_eq(argv[i], "--cache"))
            cache = argv[++i];
        else if (str_eq(argv[i], "--build-engine"))
            build = true;
        else if (str_eq(argv[i], "--cpu-only"))
            cpu_only = true;
        else if (i + 1 < argc && str_eq(argv[i], "--generation") && !str_to_u64(argv[++i], &generation))
            return 2;
    }
    if (build && cache)
        return play_builder(&release, cache);
    if (!run_dir)
        return 2;
    return generation ? play_runner(run_dir, &release, generation, cache && !cpu_only) : play_guard(run_dir);
}
