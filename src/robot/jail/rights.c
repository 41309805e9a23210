#include "robot/jail/rights.h"

#include "base/str.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { MAX_FDS = 256, MAX_LOCKED_BYTES = 64 << 20, NICE_ALL = 40 };

int rights_limit(const struct jail *jail, bool memory, bool tasks, struct err *err)
{
    const struct {
        bool wanted;
        __rlimit_resource_t what;
        rlim_t value;
    } limits[] = {
        {true, RLIMIT_CORE, 0},
        {true, RLIMIT_NOFILE, MAX_FDS},
        {true, RLIMIT_FSIZE, JAIL_LOG_MAX_BYTES},
        {true, RLIMIT_MEMLOCK, MAX_LOCKED_BYTES},
#if !defined(__SANITIZE_ADDRESS__) /* the shadow memory of an instrumented build counts as data */
        {memory, RLIMIT_DATA, jail->memory_bytes},
#endif
        {tasks, RLIMIT_NPROC, jail->tasks},
    };
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct rlimit limit = {limits[i].value, limits[i].value}, now;
        if (!limits[i].wanted)
            continue;
        if (getrlimit(limits[i].what, &now) == 0 && now.rlim_max < limit.rlim_max)
            limit.rlim_cur = limit.rlim_max = now.rlim_max;
        if (setrlimit(limits[i].what, &limit) < 0)
            return err_errno(err, "limits");
    }
    struct rlimit nice = {NICE_ALL, NICE_ALL};
    (void)setrlimit(RLIMIT_NICE, &nice);
    signal(SIGXFSZ, SIG_IGN); /* a full log is a write that fails */
    return 0;
}

static int no_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    return (int)syscall(SYS_capset, &header, none);
}

/* The bounding set: not even a program with file capabilities could give one back. */
static void empty_bounding_set(void)
{
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
        (void)prctl(PR_CAPBSET_DROP, capability);
}

static int change_user(const struct jail *jail, struct err *err)
{
    if (setgroups(0, NULL) < 0 || setresgid(jail->gid, jail->gid, jail->gid) < 0 ||
        setresuid(jail->uid, jail->uid, jail->uid) < 0)
        return err_errno(err, "cannot become user %u", jail->uid);
    return 0;
}

int rights_drop(const struct jail *jail, bool mapped, struct missing *missing, struct err *err)
{
    uid_t started_as = geteuid();
    empty_bounding_set();
    if (geteuid() == 0 && !mapped && change_user(jail, err) < 0)
        return -1;
    if (!mapped && started_as == jail->uid)
        missing_add(missing, "user of its own");
    if (no_capabilities() < 0)
        return err_errno(err, "capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_errno(err, "no_new_privs");
    return 0;
}
