/* Files, mounts and namespaces. */
#include "robot/jail/hostile.h"

#include "base/mem.h"
#include "base/str.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

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
    snprintf(path, sizeof path, "/proc/%d/%s", (int)prey.victim, what);
    return attempt(path);
}

ATTEMPT(read_shadow, read_path("/etc/shadow"))
ATTEMPT(read_secret, read_path(prey.secret))
ATTEMPT(read_host_disk, read_path("/dev/vda"))
ATTEMPT(read_kernel_log, read_path("/dev/kmsg"))
ATTEMPT(read_victim_memory, of_victim("mem", read_path))
ATTEMPT(read_victim_environment, of_victim("environ", read_path))
ATTEMPT(walk_through_victim, of_victim("root/etc/shadow", read_path))
ATTEMPT(walk_through_init, read_path("/proc/1/root/etc/shadow"))
ATTEMPT(walk_up, read_path("/../../../../etc/shadow"))
ATTEMPT(write_store, create_path("/store/new"))
ATTEMPT(write_index, write_path("/store/index.json"))
ATTEMPT(write_program, write_path("/usr/bin/muster-runner"))
ATTEMPT(write_root, create_path("/new"))
ATTEMPT(write_tmp, create_path("/tmp/new"))
ATTEMPT(write_door, create_path("/run/muster/new"))
ATTEMPT(write_dev, create_path("/dev/new"))
ATTEMPT(write_sysctl, write_path("/proc/sys/kernel/core_pattern"))
ATTEMPT(write_sysrq, write_path("/proc/sysrq-trigger"))
ATTEMPT(write_sysfs, write_path("/sys/devices/system/cpu/cpu1/online"))
ATTEMPT(cover_oom_score, write_path("/proc/self/oom_score_adj"))
static long read_other_release(void)
{
    char path[160];
    snprintf(path, sizeof path, "/store/blobs/sha256/%s", prey.other);
    return read_path(path);
}

ATTEMPT(list_run_dir,
        open("/run/muster", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 ? -1 : read_path("/run/muster/guard.log"))
ATTEMPT(replace_door, unlink("/run/muster/guard.sock"))
ATTEMPT(make_device, mknod("/dev/disk", S_IFBLK | 0600, makedev(254, 0)))
ATTEMPT(make_directory, mkdir("/store/dir", 0700))
ATTEMPT(make_link, symlink("/", "/store/link"))
ATTEMPT(change_mode, chmod("/usr/bin/muster-runner", 04777))
ATTEMPT(open_by_handle, syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0))
/* ---- mounts and namespaces ---- */

ATTEMPT(mount_tmpfs, mount("none", "/store", "tmpfs", 0, NULL))
ATTEMPT(remount_root, mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL))
ATTEMPT(unmount_store, umount2("/store", MNT_DETACH))
ATTEMPT(change_root, chroot("/store"))
ATTEMPT(pivot, syscall(SYS_pivot_root, ".", "."))
ATTEMPT(open_tree_call, syscall(428 /* open_tree */, AT_FDCWD, "/", 1))
ATTEMPT(new_user_namespace, unshare(CLONE_NEWUSER))
ATTEMPT(new_mount_namespace, unshare(CLONE_NEWNS))
ATTEMPT(enter_namespace, setns(0, 0))
const struct attempt attempts_on_files[] = {
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
    {NULL, NULL},
};
