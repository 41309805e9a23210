#include "robot/ctl/busy.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int busy_open(const char *run_dir, bool for_change, struct err *err)
{
    char path[512];
    snprintf(path, sizeof path, "%s/" BUSY_FILE, run_dir);
    int fd = open(path, (for_change ? O_RDWR : O_RDONLY) | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    return fd < 0 ? err_errno(err, "%s", path) : fd;
}

static int lock(int fd, short type)
{
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &whole);
}

int busy_take(int fd, bool for_change)
{
    return lock(fd, for_change ? F_WRLCK : F_RDLCK) == 0 ? 0 : 1;
}

void busy_leave(int fd)
{
    int ignored = lock(fd, F_UNLCK);
    (void)ignored;
}
