#include "robot/jail/door.h"

#include "base/mem.h"
#include "sys/file.h"

#include <errno.h>
#include <sys/stat.h>

char *door_path(const char *run_dir)
{
    cleanup_free char *whole = realpath(run_dir, NULL);
    return mem_printf("%s/door", whole ? whole : run_dir);
}

int door_make(const char *run_dir, struct err *err)
{
    cleanup_free char *door = door_path(run_dir);
    if (!door)
        return err_no_memory(err);
    if (file_make_dirs(door, 0755, err) < 0)
        return -1;
    return chmod(door, 0755) < 0 ? err_errno(err, "%s", door) : 0; /* whatever the umask says */
}

static int same_file(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_ino == second.st_ino &&
           first.st_dev == second.st_dev;
}

int door_open(const char *run_dir, struct err *err)
{
    cleanup_free char *socket = mem_printf("%s/guard.sock", run_dir);
    cleanup_free char *name = mem_printf("%s/door/guard.sock", run_dir);
    cleanup_free char *fresh = mem_printf("%s/door/.guard.sock", run_dir);
    if (!socket || !name || !fresh)
        return err_no_memory(err);
    if (same_file(socket, name))
        return 0;
    unlink(fresh);
    if (link(socket, fresh) < 0 || rename(fresh, name) < 0)
        return err_errno(err, "%s", name);
    return 0;
}
