#include "robot/runner/confine.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#define OUR_ARCH 0
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define DENY RETURN(SECCOMP_RET_ERRNO | EPERM)
#define IF_NOT(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))
#define IF_ANY(bits, skip_if_so, skip_if_not)                                                                \
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), (skip_if_so), (skip_if_not))
#define DENY_CALL(number) IF_NOT((number), 1), DENY

/* A GPU's driver opens devices and libraries whenever it likes. */
static bool accelerated(void)
{
    static const char *const devices[] = {"/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvgpu"};
    for (size_t i = 0; i < ARRAY_LEN(devices); i++)
        if (access(devices[i], F_OK) == 0)
            return true;
    return false;
}

static int filter_calls(void)
{
    static struct sock_filter code[] = {
        LOAD(arch),
        IF_NOT(OUR_ARCH, 1),
        BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
#if defined(__x86_64__)
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1), /* the x32 calls have other numbers */
        DENY,
#endif
        DENY_CALL(SYS_io_uring_setup),
        DENY_CALL(SYS_ptrace),
        DENY_CALL(SYS_process_vm_writev),
        DENY_CALL(SYS_bpf),
        DENY_CALL(SYS_execve),
        DENY_CALL(SYS_execveat),
        DENY_CALL(SYS_pidfd_getfd),
        DENY_CALL(SYS_process_vm_readv),
        DENY_CALL(SYS_kill), /* abort() is tgkill */
        DENY_CALL(SYS_tkill),
        DENY_CALL(SYS_unshare),
        DENY_CALL(SYS_setns),
        DENY_CALL(SYS_mount),
        DENY_CALL(SYS_keyctl),
        DENY_CALL(SYS_add_key),
        DENY_CALL(SYS_perf_event_open),
        DENY_CALL(SYS_userfaultfd),
        DENY_CALL(SYS_openat2),
        DENY_CALL(SYS_truncate), /* Landlock's first versions let it pass */
#ifdef SYS_fork
        DENY_CALL(SYS_fork),
        DENY_CALL(SYS_vfork),
#endif
        IF_NOT(SYS_clone3, 1), /* its flags are out of a filter's sight: glibc goes back to clone */
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
        IF_NOT(SYS_clone, 4),
        LOAD(args[0]),
        IF_ANY(CLONE_THREAD, 0, 1),
        RETURN(SECCOMP_RET_ALLOW),
        DENY,
        IF_NOT(SYS_prctl, 4),
        LOAD(args[0]),        /* the low half on little-endian machines */
        IF_NOT(PR_SET_MM, 1), /* the guard knows a runner by its image */
        DENY,
        RETURN(SECCOMP_RET_ALLOW),
        IF_NOT(SYS_socket, 4),
        LOAD(args[0]),
        IF_NOT(AF_UNIX, 1),
        RETURN(SECCOMP_RET_ALLOW),
        DENY,
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};
    return OUR_ARCH ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) : -1;
}

/* Of all files only directories can still be opened, or paths walked (O_PATH): that is how the next guard and the own
 * threads are found. */
#define ONLY_DIRECTORIES(call, argument)                                                                     \
    IF_NOT((call), 5), LOAD(args[argument]), IF_ANY(O_WRONLY | O_RDWR | O_CREAT, 2, 0),                      \
        IF_ANY(O_PATH | O_DIRECTORY, 0, 1), RETURN(SECCOMP_RET_ALLOW), DENY

static int filter_opens(void)
{
    static struct sock_filter code[] = {
        LOAD(nr),
#ifdef SYS_open
        ONLY_DIRECTORIES(SYS_open, 1),
        DENY_CALL(SYS_creat),
#endif
        ONLY_DIRECTORIES(SYS_openat, 2),
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};
    if (accelerated())
        return 0;
    return OUR_ARCH ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) : -1;
}

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* Linux 6.2, third version of Landlock */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif

enum {
    READS = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    WRITES = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
             LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
             LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
             LANDLOCK_ACCESS_FS_MAKE_SYM
};

static uint64_t truncate_if_known(void)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, (unsigned)LANDLOCK_CREATE_RULESET_VERSION);
    return version >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0;
}

static int allow(int rules, const char *path, uint64_t what)
{
    cleanup_close int at = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.allowed_access = what, .parent_fd = at};
    return at < 0 ? 0 : (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* No writing but to devices; no reading but of devices and of /proc's directories, where no accelerator needs more. */
static int deny_files(void)
{
    uint64_t truncate = truncate_if_known();
    bool strict = !accelerated();
    uint64_t device = LANDLOCK_ACCESS_FS_WRITE_FILE | truncate | (strict ? LANDLOCK_ACCESS_FS_READ_FILE : 0);
    struct landlock_ruleset_attr all = {.handled_access_fs = WRITES | truncate | (strict ? READS : 0)};
    cleanup_close int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (rules < 0)
        return -1;
    if (allow(rules, "/dev", device) < 0 ||
        (strict && allow(rules, "/proc", LANDLOCK_ACCESS_FS_READ_DIR) < 0))
        return -1;
    return (int)syscall(SYS_landlock_restrict_self, rules, 0);
}

static int no_core(void)
{
    struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_CORE, &none);
}

static int no_new_privileges(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

struct layer {
    const char *name;
    int (*apply)(void);
};

static void apply_all(const struct layer *layers, size_t count, char *out_missing, size_t size)
{
    size_t used = 0;
    out_missing[0] = 0;
    for (size_t i = 0; i < count; i++)
        if (layers[i].apply() < 0 && used < size)
            used +=
                (size_t)snprintf(out_missing + used, size - used, "%s%s", used ? " " : "", layers[i].name);
}

void confine_self(char *out_missing, size_t size)
{
    static const struct layer layers[] = {{"core-limit", no_core},
                                          {"no-new-privileges", no_new_privileges},
                                          {"landlock", deny_files},
                                          {"seccomp", filter_calls},
                                          {"seccomp-open", filter_opens}};
    apply_all(layers, ARRAY_LEN(layers), out_missing, size);
}

/* ---- building an engine ---- */

static int filter_build(void)
{
    static struct sock_filter code[] = {
        LOAD(arch),
        IF_NOT(OUR_ARCH, 1),
        BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
#if defined(__x86_64__)
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1),
        DENY,
#endif
        DENY_CALL(SYS_io_uring_setup),
        DENY_CALL(SYS_ptrace),
        DENY_CALL(SYS_process_vm_readv),
        DENY_CALL(SYS_process_vm_writev),
        DENY_CALL(SYS_pidfd_getfd),
        DENY_CALL(SYS_bpf),
        DENY_CALL(SYS_unshare),
        DENY_CALL(SYS_setns),
        DENY_CALL(SYS_mount),
        DENY_CALL(SYS_keyctl),
        DENY_CALL(SYS_add_key),
        DENY_CALL(SYS_perf_event_open),
        DENY_CALL(SYS_userfaultfd),
        IF_NOT(SYS_socket, 4),
        LOAD(args[0]),
        IF_NOT(AF_UNIX, 1),
        RETURN(SECCOMP_RET_ALLOW),
        DENY,
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};
    return OUR_ARCH ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) : -1;
}

static int write_only_below(const char *dir)
{
    uint64_t truncate = truncate_if_known();
    struct landlock_ruleset_attr writes = {.handled_access_fs = WRITES | truncate};
    cleanup_close int rules = (int)syscall(SYS_landlock_create_ruleset, &writes, sizeof writes, 0);
    if (rules < 0 || allow(rules, dir, WRITES | truncate) < 0 ||
        allow(rules, "/dev", LANDLOCK_ACCESS_FS_WRITE_FILE | truncate) < 0)
        return -1;
    return (int)syscall(SYS_landlock_restrict_self, rules, 0);
}

void confine_build(const char *dir, char *out_missing, size_t size)
{
    static const struct layer layers[] = {
        {"core-limit", no_core}, {"no-new-privileges", no_new_privileges}, {"seccomp", filter_build}};
    apply_all(layers, ARRAY_LEN(layers), out_missing, size);
    size_t used = strlen(out_missing);
    if (write_only_below(dir) < 0)
        (void)snprintf(out_missing + used, size - used, "%slandlock", used ? " " : "");
}
