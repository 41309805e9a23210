/* Network, processes, rights, the kernel's larger surfaces, and memory that is to be read only. */
#include "robot/jail/hostile.h"

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

/* ---- network ---- */

ATTEMPT(inet_socket, socket(AF_INET, SOCK_STREAM, 0))
ATTEMPT(inet6_socket, socket(AF_INET6, SOCK_DGRAM, 0))
ATTEMPT(raw_socket, socket(AF_INET, SOCK_RAW, 1))
ATTEMPT(packet_socket, socket(AF_PACKET, SOCK_RAW, 0))
ATTEMPT(netlink_socket, socket(AF_NETLINK, SOCK_RAW, 0))
ATTEMPT(vsock_socket, socket(AF_VSOCK, SOCK_STREAM, 0))
ATTEMPT(alg_socket, socket(AF_ALG, SOCK_SEQPACKET, 0))
static long connect_host_port(void)
{
    cleanup_close int sock = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(prey.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return sock < 0 ? -1 : connect(sock, (const struct sockaddr *)&to, sizeof to);
}

static long connect_unix(const char *path, size_t skip)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    str_copy(to.sun_path + skip, sizeof to.sun_path - skip, path);
    return sock < 0 ? -1 : connect(sock, (const struct sockaddr *)&to, sizeof to);
}

ATTEMPT(connect_host_socket, connect_unix(prey.host_socket, 0))
/* The test listens on the name of its socket in the abstract space as well. */
static long connect_abstract(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = MIN(strlen(prey.host_socket), sizeof to.sun_path - 1);
    cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(to.sun_path + 1, prey.host_socket, len);
    return sock < 0 ? -1
                    : connect(sock, (const struct sockaddr *)&to,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len));
}

static long listen_unix(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/run/muster/mine"};
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    return sock < 0 ? -1 : bind(sock, (const struct sockaddr *)&at, sizeof at);
}

/* ---- processes ---- */

static long fork_process(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    return pid;
}

static long vfork_process(void)
{
#ifdef SYS_vfork
    pid_t pid = vfork();
    if (pid == 0)
        _exit(0);
    return pid;
#else
    errno = ENOSYS;
    return -1;
#endif
}

static long clone3_process(void)
{
    uint64_t args[11] = {0};
    long pid = syscall(SYS_clone3, args, sizeof args);
    if (pid == 0)
        _exit(0);
    return pid;
}

ATTEMPT(run_shell, execl("/bin/sh", "sh", "-c", "exit 99", (char *)NULL))
ATTEMPT(trace_victim, ptrace(PTRACE_ATTACH, prey.victim, NULL, NULL))
ATTEMPT(kill_victim, kill(prey.victim, SIGKILL))
ATTEMPT(kill_all, kill(-1, SIGUSR1))
ATTEMPT(stop_victim, syscall(SYS_tgkill, prey.victim, prey.victim, SIGSTOP))
ATTEMPT(queue_to_victim, syscall(SYS_rt_sigqueueinfo, prey.victim, SIGKILL, NULL))
ATTEMPT(open_victim, syscall(SYS_pidfd_open, prey.victim, 0))
ATTEMPT(take_descriptor, syscall(SYS_pidfd_getfd, 0, 0, 0))
ATTEMPT(slow_victim, setpriority(PRIO_PROCESS, (id_t)prey.victim, 19))
static long limit_victim(void)
{
    struct rlimit none = {0, 0};
    return prlimit(prey.victim, RLIMIT_NOFILE, &none, NULL);
}

static long run_memory(void)
{
    static const char script[] = "#!/usr/bin/muster-runner\n";
    static char *const none[] = {NULL};
    cleanup_close int fd = memfd_create("x", 0);
    if (fd < 0 || write(fd, script, sizeof script - 1) < 0)
        return -1;
    return fexecve(fd, none, none);
}

static long read_victim(void)
{
    char byte;
    struct iovec mine = {&byte, 1}, theirs = {(void *)0x1000, 1};
    return process_vm_readv(prey.victim, &mine, 1, &theirs, 1, 0);
}

/* ---- rights ---- */

ATTEMPT(become_root, getuid() == 0 ? -1 : setresuid(0, 0, 0))
ATTEMPT(become_group, getgid() == 0 ? -1 : setresgid(0, 0, 0))
ATTEMPT(raise_capabilities, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0))
ATTEMPT(bounding_set, prctl(PR_CAPBSET_READ, 21) == 0 ? -1 : 0)
ATTEMPT(new_privileges, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? -1 : 0)
ATTEMPT(change_image, prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &prey.victim, 0, 0))
/* ---- the kernel's larger surfaces ---- */

static long use_bpf(void)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
}

static long use_perf(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .exclude_kernel = 1};
    return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static long use_io_uring(void)
{
    uint8_t params[256] = {0};
    return syscall(SYS_io_uring_setup, 1, params);
}

ATTEMPT(use_keys, syscall(SYS_add_key, "user", "x", "y", 1, -3))
ATTEMPT(read_keys, syscall(SYS_keyctl, 0, -3, 1))
ATTEMPT(use_userfaultfd, syscall(SYS_userfaultfd, O_CLOEXEC | 1))
ATTEMPT(load_module, syscall(SYS_init_module, "", 0, ""))
static long set_clock(void)
{
    struct timespec now = {.tv_sec = 1};
    return clock_settime(CLOCK_REALTIME, &now);
}
ATTEMPT(reboot_machine, syscall(SYS_reboot, 0, 0, 0, NULL))
static long read_dmesg(void)
{
    char byte;
    return syscall(SYS_syslog, 3, &byte, 1);
}
ATTEMPT(change_personality, syscall(SYS_personality, 0x0040000))
ATTEMPT(watch_files, syscall(SYS_fanotify_init, 0, 0))
/* ---- memory of the host that it may read ---- */

static long map_sealed(void)
{
    void *map =
        prey.sealed < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, prey.sealed, 0);
    return map == MAP_FAILED ? -1 : 0;
}

ATTEMPT(write_sealed, prey.sealed < 0 ? -1 : pwrite(prey.sealed, "x", 1, 0))
ATTEMPT(shrink_sealed, prey.sealed < 0 ? -1 : ftruncate(prey.sealed, 0))
ATTEMPT(punch_sealed,
        prey.sealed < 0 ? -1 : fallocate(prey.sealed, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096))
static long reopen_sealed(void)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", prey.sealed);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -1 : pwrite(fd, "x", 1, 0);
}

/* ---- resources ---- */

static long many_descriptors(void)
{
    for (int i = 0; i < 4096; i++)
        if (dup(0) < 0)
            return close_range(10, ~0U, 0) - 1;
    return 0;
}

const struct attempt attempts_to_reach[] = {
    {"socket inet", inet_socket},
    {"socket inet6", inet6_socket},
    {"socket raw", raw_socket},
    {"socket packet", packet_socket},
    {"socket netlink", netlink_socket},
    {"socket vsock", vsock_socket},
    {"socket alg", alg_socket},
    {"connect to a port of the host", connect_host_port},
    {"connect to another socket of the host", connect_host_socket},
    {"connect to an abstract socket", connect_abstract},
    {"listen", listen_unix},
    {"fork", fork_process},
    {"vfork", vfork_process},
    {"clone3", clone3_process},
    {"exec a shell", run_shell},
    {"exec from memory", run_memory},
    {"ptrace the guard", trace_victim},
    {"kill the guard", kill_victim},
    {"kill everybody", kill_all},
    {"tgkill the guard", stop_victim},
    {"sigqueue to the guard", queue_to_victim},
    {"pidfd_open the guard", open_victim},
    {"pidfd_getfd", take_descriptor},
    {"slow the guard down", slow_victim},
    {"limit the guard", limit_victim},
    {"process_vm_readv", read_victim},
    {"become root", become_root},
    {"become group root", become_group},
    {"raise a capability", raise_capabilities},
    {"a capability in the bounding set", bounding_set},
    {"gain privileges by exec", new_privileges},
    {"change its own image", change_image},
    {"bpf", use_bpf},
    {"perf_event_open", use_perf},
    {"io_uring", use_io_uring},
    {"add_key", use_keys},
    {"keyctl", read_keys},
    {"userfaultfd", use_userfaultfd},
    {"init_module", load_module},
    {"set the clock", set_clock},
    {"reboot", reboot_machine},
    {"read dmesg", read_dmesg},
    {"personality", change_personality},
    {"fanotify", watch_files},
    {"map frames writable", map_sealed},
    {"write frames", write_sealed},
    {"shrink frames", shrink_sealed},
    {"punch a hole in frames", punch_sealed},
    {"reopen frames writable", reopen_sealed},
    {"take all descriptors", many_descriptors},
    {NULL, NULL},
};
