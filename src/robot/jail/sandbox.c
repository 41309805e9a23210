#include "robot/jail/sandbox.h"

#include "base/str.h"
#include "robot/jail/cgroup.h"
#include "robot/jail/landlock.h"
#include "robot/jail/rights.h"
#include "robot/jail/seccomp.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

/* ---- namespaces ---- */

void sandbox_unshare(struct sandbox *sandbox, bool mapped)
{
    static const struct {
        int flag;
        const char *name;
    } spaces[] = {{CLONE_NEWNET, "network namespace"},
                  {CLONE_NEWIPC, "IPC namespace"},
                  {CLONE_NEWUTS, "UTS namespace"}};
    *sandbox = (struct sandbox){.mapped = mapped};
    if (getpid() != 1)
        missing_add(&sandbox->missing, "PID namespace");
    sandbox->mounts = unshare(CLONE_NEWNS) == 0;
    if (!sandbox->mounts)
        missing_add(&sandbox->missing, "mount namespace");
    for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
        if (unshare(spaces[i].flag) < 0)
            missing_add(&sandbox->missing, spaces[i].name);
}

/* ---- the mount tree ---- */

/* Flags that a mount from outside a user namespace is locked to; a remount has to repeat them. */
static unsigned long locked_flags(const char *path)
{
    struct statvfs st;
    if (statvfs(path, &st) < 0)
        return 0;
    unsigned long flags = st.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_NODIRATIME);
    return flags | (st.f_flag & ST_RELATIME ? MS_RELATIME : 0);
}

static unsigned long flags_of(const struct jail_bind *bind)
{
    unsigned long flags = MS_NOSUID | MS_RDONLY;
    if (bind->kind != JAIL_DEVICE)
        flags |= MS_NODEV;
    if (bind->kind != JAIL_PROGRAM && bind->kind != JAIL_LIBRARY)
        flags |= MS_NOEXEC;
    return flags;
}

static int bind_one(const struct jail_bind *bind, const char *base, struct err *err)
{
    cleanup_free char *target = mem_printf("%s%s", base, bind->target);
    if (!target)
        return err_no_memory(err);
    if (mount(bind->source, target, NULL, MS_BIND, NULL) < 0)
        return err_errno(err, "bind %s", bind->source);
    unsigned long flags = MS_BIND | MS_REMOUNT | flags_of(bind) | locked_flags(target);
    return mount(NULL, target, NULL, flags, NULL) < 0 ? err_errno(err, "remount %s", bind->source) : 0;
}

static int mount_tree(const struct jail *jail, const char *base, struct missing *missing, struct err *err)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_errno(err, "private mounts");
    if (mount("muster-jail", base, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755") < 0)
        return err_errno(err, "tmpfs on %s", base);
    if (jail_stage(jail, base, err) < 0)
        return -1;
    for (size_t i = 0; i < jail->bind_count; i++)
        if (bind_one(&jail->binds[i], base, err) < 0)
            return -1;
    cleanup_free char *proc = file_join(base, "proc");
    if (!proc)
        return err_no_memory(err);
    if (getpid() != 1 || mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL) < 0)
        missing_add(missing, "own /proc (there is none then)");
    return 0;
}

/* The old root is mounted over the new one for a moment, and taken away. */
static int change_root(const char *base, struct err *err)
{
    if (chdir(base) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0)
        return err_errno(err, "new root");
    unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV;
    return mount(NULL, "/", NULL, flags, NULL) < 0 ? err_errno(err, "read-only root") : 0;
}

int sandbox_build(struct sandbox *sandbox, const struct jail *jail, const char *base, struct err *err)
{
    cgroup_sweep(jail->id);
    struct cgroup_had had = cgroup_join(jail);
    if (!had.memory)
        missing_add(&sandbox->missing, "memory cgroup (RLIMIT_DATA instead)");
    if (!had.tasks)
        missing_add(&sandbox->missing,
                    sandbox->mapped ? "pids cgroup (RLIMIT_NPROC instead)" : "pids cgroup");
    if (!had.cpu)
        missing_add(&sandbox->missing, "cpu cgroup");
    if (rights_limit(jail, !had.memory, !had.tasks && sandbox->mapped, err) < 0)
        return -1;
    if (!sandbox->mounts)
        return 0;
    if (unshare(CLONE_NEWCGROUP) < 0)
        missing_add(&sandbox->missing, "cgroup namespace");
    int ignored = sethostname("runner", strlen("runner")); /* of our own namespace, or it is not allowed */
    (void)ignored;
    return mount_tree(jail, base, &sandbox->missing, err) < 0 ? -1 : change_root(base, err);
}

int sandbox_drop(struct sandbox *sandbox, const struct jail *jail, struct err *err)
{
    struct err told = {0};
    if (rights_drop(jail, sandbox->mapped, &sandbox->missing, err) < 0)
        return -1;
    if (landlock_apply(jail, &told) < 0)
        missing_add(&sandbox->missing, "Landlock");
    if (seccomp_apply(&told) < 0)
        missing_add(&sandbox->missing, "seccomp");
    return 0;
}

int sandbox_exec(const struct jail *jail, struct err *err)
{
    execve(jail->args[0], jail->args, jail->env);
    return err_errno(err, "cannot run %s", jail->args[0]);
}
