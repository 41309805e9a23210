/* A runner that a hostile model has taken over: it is started exactly as muster-runner is, in the same jail, and tries to get
 * out. One line per attempt: "name<TAB>denied: reason" or "name<TAB>BROKE OUT". Exit status 0: none succeeded; 1: some did.
 *
 * Options (all others, the runner's, are ignored): --victim PID, --secret FILE, --socket FILE, --port N, --other DIGEST: things of the
 * host that it is after; --devour memory|threads|log|x32: takes all of it that it gets.
 */
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { MANY_THREADS = 400, MEMORY_STEP = 16 << 20, MEMORY_STEPS = 128, LOG_FLOOD = 24 << 20 };

static pid_t victim = 1;
static const char *secret = "/etc/passwd", *host_socket = "/run/host.sock", *other = "";
static uint16_t port = 1;
static int sealed = -1; /* a region of the host's that it was given to read */

/* Every attempt returns what the kernel said: below 0 is denied. */

/* ---- files ---- */

static long read_path(const char *path)
{
    char byte;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : read(fd, &byte, 1);
}

static long write_path(const char *path)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -1 : write(fd, "x", 1);
}

static long create_path(const char *path)
{
    return open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
}

static long of_victim(const char *what, long (*attempt)(const char *))
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)victim, what);
    return attempt(path);
}

static long read_shadow(void)
{
    return read_path("/etc/shadow");
}
static long read_secret(void)
{
    return read_path(secret);
}
static long read_host_disk(void)
{
    return read_path("/dev/vda");
}
static long read_kernel_log(void)
{
    return read_path("/dev/kmsg");
}
static long read_victim_memory(void)
{
    return of_victim("mem", read_path);
}
static long read_victim_environment(void)
{
    return of_victim("environ", read_path);
}
static long walk_through_victim(void)
{
    return of_victim("root/etc/shadow", read_path);
}
static long walk_through_init(void)
{
    return read_path("/proc/1/root/etc/shadow");
}
static long walk_up(void)
{
    return read_path("/../../../../etc/shadow");
}
static long write_store(void)
{
    return create_path("/store/new");
}
static long write_index(void)
{
    return write_path("/store/index.json");
}
static long write_program(void)
{
    return write_path("/usr/bin/muster-runner");
}
static long write_root(void)
{
    return create_path("/new");
}
static long write_tmp(void)
{
    return create_path("/tmp/new");
}
static long write_door(void)
{
    return create_path("/run/muster/new");
}
static long write_dev(void)
{
    return create_path("/dev/new");
}
static long write_sysctl(void)
{
    return write_path("/proc/sys/kernel/core_pattern");
}
static long write_sysrq(void)
{
    return write_path("/proc/sysrq-trigger");
}
static long write_sysfs(void)
{
    return write_path("/sys/devices/system/cpu/cpu1/online");
}
static long cover_oom_score(void)
{
    return write_path("/proc/self/oom_score_adj");
}

static long read_other_release(void)
{
    char path[160];
    snprintf(path, sizeof path, "/store/blobs/sha256/%s", other);
    return read_path(path);
}

static long list_run_dir(void)
{
    return open("/run/muster", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 ? -1
                                                                       : read_path("/run/muster/guard.log");
}

static long replace_door(void)
{
    return unlink("/run/muster/guard.sock");
}
static long make_device(void)
{
    return mknod("/dev/disk", S_IFBLK | 0600, makedev(254, 0));
}
static long make_directory(void)
{
    return mkdir("/store/dir", 0700);
}
static long make_link(void)
{
    return symlink("/", "/store/link");
}
static long change_mode(void)
{
    return chmod("/usr/bin/muster-runner", 04777);
}
static long open_by_handle(void)
{
    return syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0);
}

/* ---- mounts and namespaces ---- */

static long mount_tmpfs(void)
{
    return mount("none", "/store", "tmpfs", 0, NULL);
}
static long remount_root(void)
{
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL);
}
static long unmount_store(void)
{
    return umount2("/store", MNT_DETACH);
}
static long change_root(void)
{
    return chroot("/store");
}
static long pivot(void)
{
    return syscall(SYS_pivot_root, ".", ".");
}
static long open_tree_call(void)
{
    return syscall(428 /* open_tree */, AT_FDCWD, "/", 1);
}
static long new_user_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}
static long new_mount_namespace(void)
{
    return unshare(CLONE_NEWNS);
}
static long enter_namespace(void)
{
    return setns(0, 0);
}

/* ---- network ---- */

static long inet_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}
static long inet6_socket(void)
{
    return socket(AF_INET6, SOCK_DGRAM, 0);
}
static long raw_socket(void)
{
    return socket(AF_INET, SOCK_RAW, 1);
}
static long packet_socket(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0);
}
static long netlink_socket(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 0);
}
static long vsock_socket(void)
{
    return socket(AF_VSOCK, SOCK_STREAM, 0);
}
static long alg_socket(void)
{
    return socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static long connect_host_port(void)
{
    cleanup_close int sock = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return sock < 0 ? -1 : connect(sock, (const struct sockaddr *)&to, sizeof to);
}

static long connect_unix(const char *path, size_t skip)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    str_copy(to.sun_path + skip, sizeof to.sun_path - skip, path);
    return sock < 0 ? -1 : connect(sock, (const struct sockaddr *)&to, sizeof to);
}

static long connect_host_socket(void)
{
    return connect_unix(host_socket, 0);
}

/* The test listens on the name of its socket in the abstract space as well. */
static long connect_abstract(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = MIN(strlen(host_socket), sizeof to.sun_path - 1);
    cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(to.sun_path + 1, host_socket, len);
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

static long run_shell(void)
{
    return execl("/bin/sh", "sh", "-c", "exit 99", (char *)NULL);
}
static long trace_victim(void)
{
    return ptrace(PTRACE_ATTACH, victim, NULL, NULL);
}
static long kill_victim(void)
{
    return kill(victim, SIGKILL);
}
static long kill_all(void)
{
    return kill(-1, SIGUSR1);
}
static long stop_victim(void)
{
    return syscall(SYS_tgkill, victim, victim, SIGSTOP);
}
static long queue_to_victim(void)
{
    return syscall(SYS_rt_sigqueueinfo, victim, SIGKILL, NULL);
}
static long open_victim(void)
{
    return syscall(SYS_pidfd_open, victim, 0);
}
static long take_descriptor(void)
{
    return syscall(SYS_pidfd_getfd, 0, 0, 0);
}
static long slow_victim(void)
{
    return setpriority(PRIO_PROCESS, (id_t)victim, 19);
}
static long limit_victim(void)
{
    struct rlimit none = {0, 0};
    return prlimit(victim, RLIMIT_NOFILE, &none, NULL);
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
    return process_vm_readv(victim, &mine, 1, &theirs, 1, 0);
}

/* ---- rights ---- */

static long become_root(void)
{
    return getuid() == 0 ? -1 : setresuid(0, 0, 0);
}
static long become_group(void)
{
    return getgid() == 0 ? -1 : setresgid(0, 0, 0);
}
static long raise_capabilities(void)
{
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0);
}
static long bounding_set(void)
{
    return prctl(PR_CAPBSET_READ, 21) == 0 ? -1 : 0;
}
static long new_privileges(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? -1 : 0;
}
static long change_image(void)
{
    return prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &victim, 0, 0);
}

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

static long use_keys(void)
{
    return syscall(SYS_add_key, "user", "x", "y", 1, -3);
}
static long read_keys(void)
{
    return syscall(SYS_keyctl, 0, -3, 1);
}
static long use_userfaultfd(void)
{
    return syscall(SYS_userfaultfd, O_CLOEXEC | 1);
}
static long load_module(void)
{
    return syscall(SYS_init_module, "", 0, "");
}
static long set_clock(void)
{
    struct timespec now = {.tv_sec = 1};
    return clock_settime(CLOCK_REALTIME, &now);
}
static long reboot_machine(void)
{
    return syscall(SYS_reboot, 0, 0, 0, NULL);
}
static long read_dmesg(void)
{
    char byte;
    return syscall(SYS_syslog, 3, &byte, 1);
}
static long change_personality(void)
{
    return syscall(SYS_personality, 0x0040000);
}
static long watch_files(void)
{
    return syscall(SYS_fanotify_init, 0, 0);
}

/* ---- memory of the host that it may read ---- */

static long map_sealed(void)
{
    void *map = sealed < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, sealed, 0);
    return map == MAP_FAILED ? -1 : 0;
}

static long write_sealed(void)
{
    return sealed < 0 ? -1 : pwrite(sealed, "x", 1, 0);
}
static long shrink_sealed(void)
{
    return sealed < 0 ? -1 : ftruncate(sealed, 0);
}
static long punch_sealed(void)
{
    return sealed < 0 ? -1 : fallocate(sealed, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
}

static long reopen_sealed(void)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", sealed);
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

static const struct {
    const char *name;
    long (*attempt)(void);
} attempts[] = {
    {"read /etc/shadow", read_shadow},
    {"read a key that everybody may read", read_secret},
    {"read another release", read_other_release},
    {"read the guard's log", list_run_dir},
    {"read the disk", read_host_disk},
    {"read /dev/kmsg", read_kernel_log},
    {"read the guard's memory", read_victim_memory},
    {"read the guard's environment", read_victim_environment},
    {"walk through the guard's root", walk_through_victim},
    {"walk through init's root", walk_through_init},
    {"walk up from the root", walk_up},
    {"create in the store", write_store},
    {"write index.json", write_index},
    {"write its own program", write_program},
    {"create in /", write_root},
    {"create in /tmp", write_tmp},
    {"create beside the guard's socket", write_door},
    {"create in /dev", write_dev},
    {"write /proc/sys", write_sysctl},
    {"write /proc/sysrq-trigger", write_sysrq},
    {"write /sys", write_sysfs},
    {"escape the OOM killer", cover_oom_score},
    {"remove the guard's socket", replace_door},
    {"mknod", make_device},
    {"mkdir", make_directory},
    {"symlink", make_link},
    {"chmod", change_mode},
    {"open_by_handle_at", open_by_handle},
    {"mount", mount_tmpfs},
    {"remount / writable", remount_root},
    {"umount", unmount_store},
    {"chroot", change_root},
    {"pivot_root", pivot},
    {"open_tree", open_tree_call},
    {"unshare user namespace", new_user_namespace},
    {"unshare mount namespace", new_mount_namespace},
    {"setns", enter_namespace},
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
};

static bool try_all(void)
{
    bool out = false;
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        errno = 0;
        bool denied = attempts[i].attempt() < 0;
        int why = errno;
        printf("%s\t%s%s\n", attempts[i].name, denied ? "denied: " : "BROKE OUT",
               denied ? strerror(why) : "");
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

/* The other numbers of the same calls; a filter may also end it for that. */
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
            victim = (pid_t)number;
        else if (str_eq(argv[i], "--port") && str_to_u64(argv[i + 1], &number))
            port = (uint16_t)number;
        else if (str_eq(argv[i], "--secret"))
            secret = argv[i + 1];
        else if (str_eq(argv[i], "--socket"))
            host_socket = argv[i + 1];
        else if (str_eq(argv[i], "--other"))
            other = argv[i + 1];
        else if (str_eq(argv[i], "--devour"))
            devour = argv[i + 1];
    }
    if (devour)
        return devour_what(devour);
    sealed = receive_sealed();
    printf("the guard's socket\t%s\n", sealed >= 0 ? "reached, as it should" : "NOT REACHED");
    printf("user\t%u\n", getuid());
    return try_all() || sealed < 0;
}
