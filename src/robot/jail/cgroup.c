#include "robot/jail/cgroup.h"

#include "base/clock.h"
#include "base/str.h"
#include "sys/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define ROOT "/sys/fs/cgroup"
enum { FRESH_S = 30 };

/* One controller: where its limit is written. */
struct knob {
    const char *controller, *v1_file, *v2_file;
};

enum { MEMORY, TASKS, CPU, KNOBS };
static const struct knob knobs[KNOBS] = {
    [MEMORY] = {"memory", "memory.limit_in_bytes", "memory.max"},
    [TASKS] = {"pids", "pids.max", "pids.max"},
    [CPU] = {"cpu", "cpu.shares", "cpu.weight"},
};

static bool is_v2(void)
{
    return file_exists(ROOT "/cgroup.controllers");
}

void cgroup_hide_unified(void)
{
    if (is_v2() || !file_exists(ROOT "/unified/cgroup.controllers") || unshare(CLONE_NEWNS) < 0)
        return;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        (void)umount2(ROOT "/unified", MNT_DETACH);
}

static bool write_file(const char *path, const char *text)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool write_in(const char *dir, const char *file, const char *text)
{
    char path[256];
    return snprintf(path, sizeof path, "%s/%s", dir, file) < (int)sizeof path && write_file(path, text);
}

static void limit_text(const struct jail *jail, int knob, bool v2, char out[32])
{
    uint64_t value = knob == MEMORY ? jail->memory_bytes : knob == TASKS ? jail->tasks : jail->cpu_weight;
    if (knob == CPU && !v2)
        value = value * 1024 / 100;
    snprintf(out, 32, "%" PRIu64, value);
}

static bool join(const char *dir, const struct jail *jail, int knob, bool v2)
{
    char text[32];
    limit_text(jail, knob, v2, text);
    return write_in(dir, v2 ? knobs[knob].v2_file : knobs[knob].v1_file, text);
}

static void join_v1(const struct jail *jail, bool had[KNOBS])
{
    char dir[192];
    for (int i = 0; i < KNOBS; i++) {
        snprintf(dir, sizeof dir, ROOT "/%s/%s", knobs[i].controller, jail->id);
        (void)mkdir(dir, 0755); /* EEXIST is fine, the rest shows in the next step */
        had[i] = join(dir, jail, i, false) && write_in(dir, "cgroup.procs", "0");
    }
}

static void join_v2(const struct jail *jail, bool had[KNOBS])
{
    char dir[192];
    write_file(ROOT "/cgroup.subtree_control", "+memory");
    write_file(ROOT "/cgroup.subtree_control", "+pids");
    write_file(ROOT "/cgroup.subtree_control", "+cpu");
    snprintf(dir, sizeof dir, ROOT "/%s", jail->id);
    (void)mkdir(dir, 0755);
    for (int i = 0; i < KNOBS; i++)
        had[i] = join(dir, jail, i, true);
    write_in(dir, "memory.swap.max", "0");
    if (!write_in(dir, "cgroup.procs", "0"))
        memset(had, 0, KNOBS * sizeof had[0]);
}

struct cgroup_had cgroup_join(const struct jail *jail)
{
    bool had[KNOBS] = {0};
    if (is_v2())
        join_v2(jail, had);
    else
        join_v1(jail, had);
    return (struct cgroup_had){.memory = had[MEMORY], .tasks = had[TASKS], .cpu = had[CPU]};
}

/* Removing a group that is in use fails, and that is all the check it takes. One that was made a moment ago, by
 * another robot on this machine, may be about to be used. */
static void sweep_dir(const char *root, const char *ours)
{
    DIR *dir = opendir(root);
    if (!dir)
        return;
    int64_t now_s = clock_wall_ms() / 1000;
    struct stat st;
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (!str_starts(name, "muster-") || fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (str_starts(name, ours) || now_s - st.st_ctim.tv_sec > FRESH_S)
            (void)unlinkat(dirfd(dir), name, AT_REMOVEDIR);
    }
    closedir(dir);
}

void cgroup_sweep(const char *id)
{
    static const char *const roots[] = {
        ROOT,           ROOT "/memory",  ROOT "/pids",    ROOT "/cpu",   ROOT "/cpuacct",
        ROOT "/cpuset", ROOT "/devices", ROOT "/freezer", ROOT "/blkio", ROOT "/systemd",
        ROOT "/unified"};
    char prefix[64];
    str_copy(prefix, sizeof prefix, id);
    char *dash = strrchr(prefix, '-');
    if (!dash)
        return;
    dash[1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(roots); i++)
        sweep_dir(roots[i], prefix);
}
