/* A runner that a hostile model has taken over: it is started exactly as muster-runner is, in the same jail, and tries to get
 * out. One line per attempt: "name<TAB>denied: reason" or "name<TAB>BROKE OUT". Exit status 0: none succeeded; 1: some did.
 *
 * Options (all others, the runner's, are ignored): --victim PID, --secret FILE, --socket FILE, --port N, --other DIGEST: things of the
 * host that it is after; --devour memory|threads|log|x32: takes all of it that it gets.
 */
#include "robot/jail/hostile.h"

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

enum { MANY_THREADS = 400, MEMORY_STEP = 16 << 20, MEMORY_STEPS = 128, LOG_FLOOD = 24 << 20 };

struct prey prey = {
    .victim = 1, .secret = "/etc/passwd", .host_socket = "/run/host.sock", .other = "", .sealed = -1};

static bool try_all(const struct attempt *attempts)
{
    bool out = false;
    for (const struct attempt *attempt = attempts; attempt->name; attempt++) {
        errno = 0;
        bool denied = attempt->try() < 0;
        int why = errno;
        printf("%s\t%s%s\n", attempt->name, denied ? "denied: " : "BROKE OUT", denied ? strerror(why) : "");
        fflush(stdout);
        out |= !denied;
    }
    return out;
}

/* ---- taking all there is ---- */

static bool devour_memory(void)
{
    for (int i = 0; i < MEMORY_STEPS; i++) {
        char *piece = mmap(NULL, MEMORY_STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED)
            return false;
        for (size_t at = 0; at < MEMORY_STEP; at += 4096)
            piece[at] = 1;
    }
    return true;
}

static void *sleep_on(void *arg)
{
    sleep(60);
    return arg;
}

static bool devour_threads(void)
{
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    for (int i = 0; i < MANY_THREADS; i++)
        if (pthread_create(&thread, &small, sleep_on, NULL) != 0)
            return false;
    return true;
}

static bool devour_log(void)
{
    static const char line[4096];
    for (int written = 0; written < LOG_FLOOD; written += (int)sizeof line)
        if (write(STDERR_FILENO, line, sizeof line) < 0)
            return false;
    return true;
}

/* The prey.other numbers of the same calls; a filter may also end it for that. */
static bool devour_x32(void)
{
#if defined(__x86_64__)
    return syscall(0x40000000 + SYS_getpid) >= 0;
#else
    return false;
#endif
}

static bool devour_what(const char *what)
{
    static const struct {
        const char *name;
        bool (*take)(void);
    } ways[] = {
        {"memory", devour_memory}, {"threads", devour_threads}, {"log", devour_log}, {"x32", devour_x32}};
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (str_eq(what, ways[i].name))
            return ways[i].take();
    return false;
}

/* What the guard gives a runner: a region to read, here over the same socket. */
static int receive_sealed(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/run/muster/guard.sock"};
    cleanup_close int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (sock < 0 || connect(sock, (const struct sockaddr *)&to, sizeof to) < 0)
        return -1;
    char byte;
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec data = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int fd = -1;
    if (recvmsg(sock, &message, 0) > 0 && CMSG_FIRSTHDR(&message))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

int main(int argc, char **argv)
{
    const char *devour = NULL;
    for (int i = 1; i + 1 < argc; i++) {
        uint64_t number = 0;
        if (str_eq(argv[i], "--victim") && str_to_u64(argv[i + 1], &number))
            prey.victim = (pid_t)number;
        else if (str_eq(argv[i], "--port") && str_to_u64(argv[i + 1], &number))
            prey.port = (uint16_t)number;
        else if (str_eq(argv[i], "--secret"))
            prey.secret = argv[i + 1];
        else if (str_eq(argv[i], "--socket"))
            prey.host_socket = argv[i + 1];
        else if (str_eq(argv[i], "--other"))
            prey.other = argv[i + 1];
        else if (str_eq(argv[i], "--devour"))
            devour = argv[i + 1];
    }
    if (devour)
        return devour_what(devour);
    prey.sealed = receive_sealed();
    printf("the guard's socket\t%s\n", prey.sealed >= 0 ? "reached, as it should" : "NOT REACHED");
    printf("user\t%u\n", getuid());
    bool out = try_all(attempts_on_files);
    return try_all(attempts_to_reach) || out || prey.sealed < 0;
}
