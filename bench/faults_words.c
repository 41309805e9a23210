/* Small things that all cases need: what is wrong, words with the guard, and faults below the guard's own code. */
#include "base/clock.h"
#include "base/str.h"
#include "bench/faults.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>

struct underfoot *underfoot;

int64_t now_ns(void)
{
    return clock_mono_ns();
}

int64_t us_since(int64_t ns)
{
    return (clock_mono_ns() - ns) / 1000;
}

void nap_us(int64_t us)
{
    struct timespec nap = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&nap, NULL);
}

bool expect(struct sight *seen, bool holds, const char *fmt, ...)
{
    va_list args;
    if (holds || seen->wrong[0])
        return holds;
    va_start(args, fmt);
    vsnprintf(seen->wrong, sizeof seen->wrong, fmt, args);
    va_end(args);
    return false;
}

void impossible(struct sight *seen, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(seen->impossible, sizeof seen->impossible, fmt, args);
    va_end(args);
}

int dial_as(struct world *world, enum ctl_role role, struct sight *seen)
{
    int fd = -1;
    struct err err = {0};
    expect(seen, ctl_connect(world->run_dir, role, &fd, &err) == 0, "HELLO: %s", err.text);
    return fd;
}

/* ---- words with the guard ---- */

bool status_get(struct world *world, struct ctl_status *out, struct sight *seen)
{
    struct err err = {0};
    return expect(seen, ctl_status(world->agent, PATIENCE_MS, out, &err) == 0, "status: %s", err.text);
}

const struct ctl_runner_status *status_runner(const struct ctl_status *status, uint64_t generation)
{
    static const struct ctl_runner_status none;
    for (int i = 0; i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation == generation)
            return &status->runners[i];
    return &none;
}

bool status_until(struct world *world, enum guard_state state, int64_t within_ms, struct sight *seen)
{
    struct ctl_status status;
    int64_t until_ms = clock_mono_ms() + within_ms;
    for (;;) {
        if (!status_get(world, &status, seen))
            return false;
        if (status.state == state)
            return true;
        if (!expect(seen, clock_mono_ms() < until_ms, "state %s does not come, it is %s",
                    muster_state_name((enum muster_state)state),
                    muster_state_name((enum muster_state)status.state)))
            return false;
        nap_us(100);
    }
}

static struct digest release_of(uint64_t generation)
{
    struct digest digest = {{0xfa, 0x17}};
    memcpy(digest.bytes + 8, &generation, sizeof generation);
    return digest;
}

enum err_code order(struct world *world, enum ctl_kind kind, uint64_t generation, uint64_t fallback,
                    const struct ctl_limits *limits)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, kind);
    message.generation = generation;
    message.fallback = fallback;
    message.release = release_of(generation);
    message.count = kind == CTL_SHADOW ? 1000000 : 0;
    if (limits)
        message.limits = *limits;
    return ctl_call(world->agent, &message, PATIENCE_MS, &err) == 0 ? ERR_NONE : err.code;
}

enum err_code command(int fd, enum ctl_verb verb, uint64_t lease, uint32_t ttl_ms, uint64_t *out_lease,
                      char text[240])
{
    struct ctl_command order = {
        .verb = verb, .lease = lease, .ttl_ms = ttl_ms, .who = "ann", .reason = "a fault"};
    struct err err = {0};
    int done = ctl_command(fd, &order, PATIENCE_MS, out_lease, &err);
    if (text)
        str_copy(text, 240, err.text);
    return done == 0 ? ERR_NONE : err.code;
}

bool connected(int fd)
{
    struct pollfd look = {.fd = fd};
    return poll(&look, 1, 0) == 0;
}

/* ---- faults below the guard's own code: the linker's --wrap ---- */

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

int __wrap_fsync(int fd)
{
    int fault = underfoot ? atomic_load(&underfoot->sync_errno) : 0;
    if (!fault)
        return __real_fsync(fd);
    errno = fault;
    return -1;
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    int fault = underfoot ? atomic_load(&underfoot->accept_errno) : 0;
    if (!fault)
        return __real_accept4(fd, address, len, flags);
    errno = fault;
    return -1;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    int done = __real_clock_gettime(clock, out);
    if (clock == CLOCK_REALTIME && underfoot)
        out->tv_sec += atomic_load(&underfoot->wall_step_s);
    return done;
}
