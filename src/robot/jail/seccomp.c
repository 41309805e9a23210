#include "robot/jail/seccomp.h"

#include "base/mem.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#define OUR_ARCH 0
#endif

static const struct seccomp_call calls[] = {
#define CALL(name) {#name, SYS_##name, SECCOMP_ALWAYS},
#define CALL_IF(name, rule) {#name, SYS_##name, rule},
#include "robot/jail/seccomp_calls.def"
#undef CALL
#undef CALL_IF
};

const struct seccomp_call *seccomp_calls(size_t *out_count)
{
    *out_count = ARRAY_LEN(calls);
    return calls;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOW RETURN(SECCOMP_RET_ALLOW)
#define DENY RETURN(SECCOMP_RET_ERRNO | EPERM)
#define IF(value, skip_if_so, skip_if_not)                                                                   \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (skip_if_so), (skip_if_not))
#define IF_ANY(bits, skip_if_so, skip_if_not)                                                                \
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), (skip_if_so), (skip_if_not))

enum {
    NEW_NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
};

/* Each ends in a return. Arguments are compared by their low half: little-endian machines only. */
static const struct sock_filter unix_only[] = {LOAD(args[0]), IF(AF_UNIX, 0, 1), ALLOW, DENY};
static const struct sock_filter threads_only[] = {LOAD(args[0]), IF_ANY(NEW_NAMESPACES, 2, 0),
                                                  IF_ANY(CLONE_THREAD, 0, 1), ALLOW, DENY};
static const struct sock_filter own_image[] = {LOAD(args[0]), IF(PR_SET_MM, 0, 1), DENY, ALLOW};
static const struct sock_filter self_only[] = {LOAD(args[0]), IF(0, 0, 1), ALLOW, DENY};
static const struct sock_filter once[] = {ALLOW};
static const struct sock_filter unknown[] = {RETURN(SECCOMP_RET_ERRNO | ENOSYS)};
static const struct sock_filter always[] = {ALLOW};

static const struct {
    const struct sock_filter *code;
    size_t count;
} rules[] = {
    [SECCOMP_ALWAYS] = {always, ARRAY_LEN(always)},
    [SECCOMP_UNIX_ONLY] = {unix_only, ARRAY_LEN(unix_only)},
    [SECCOMP_THREADS_ONLY] = {threads_only, ARRAY_LEN(threads_only)},
    [SECCOMP_OWN_IMAGE] = {own_image, ARRAY_LEN(own_image)},
    [SECCOMP_SELF_ONLY] = {self_only, ARRAY_LEN(self_only)},
    [SECCOMP_ONCE] = {once, ARRAY_LEN(once)},
    [SECCOMP_UNKNOWN] = {unknown, ARRAY_LEN(unknown)},
};

struct code {
    struct sock_filter *items;
    size_t count;
};

static void put(struct code *code, const struct sock_filter *items, size_t count)
{
    memcpy(code->items + code->count, items, count * sizeof *items);
    code->count += count;
}

static void put_start(struct code *code)
{
    static const struct sock_filter start[] = {
        LOAD(arch),
        IF(OUR_ARCH, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
#if defined(__x86_64__)
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1), /* the x32 calls have other numbers */
        DENY,
#endif
    };
    put(code, start, ARRAY_LEN(start));
}

struct sock_filter *seccomp_program(size_t *out_count)
{
    size_t most = 16;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        most += 1 + rules[calls[i].rule].count;
    struct code code = {.items = mem_zalloc(most, sizeof *code.items)};
    if (!code.items)
        return NULL;
    put_start(&code);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        size_t count = rules[calls[i].rule].count;
        struct sock_filter test = IF((unsigned)calls[i].number, 0, (unsigned char)count);
        put(&code, &test, 1);
        put(&code, rules[calls[i].rule].code, count);
    }
    struct sock_filter deny = DENY;
    put(&code, &deny, 1);
    *out_count = code.count;
    return code.items;
}

/* Without the mitigation of speculative store bypass that some kernels tie to a filter: it costs inference a
 * few per cent, and a runner holds no secret of another in its memory. */
static long install(const struct sock_fprog *program)
{
    long done = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, program);
    return done == 0 ? 0 : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program);
}

int seccomp_apply(struct err *err)
{
    size_t count = 0;
    if (OUR_ARCH == 0)
        return err_set(err, ERR_UNSUPPORTED, "no filter of system calls for this architecture");
    cleanup_free struct sock_filter *code = seccomp_program(&count);
    if (!code)
        return err_no_memory(err);
    struct sock_fprog program = {.len = (unsigned short)count, .filter = code};
    if (install(&program) < 0) {
        err_errno(err, "seccomp");
        err->code = ERR_UNSUPPORTED;
        return -1;
    }
    return 0;
}
