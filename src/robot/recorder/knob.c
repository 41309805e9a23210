#include "robot/recorder/knob.h"

#include "base/mem.h"
#include "robot/recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define NAME "recorder.sock"

/* By way of an open directory: a socket's own path may hold 107 characters only. */
static int address_in(const char *run_dir, int *out_dir, struct sockaddr_un *out, struct err *err)
{
    *out_dir = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*out_dir < 0)
        return err_errno(err, "run directory %s", run_dir);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/" NAME, *out_dir);
    return 0;
}

int knob_open(const char *run_dir, int *out_fd, struct err *err)
{
    cleanup_close int dir = -1;
    struct sockaddr_un address;
    if (address_in(run_dir, &dir, &address, err) < 0)
        return -1;
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, NAME);
    unlinkat(dir, NAME, 0); /* of a former life: the lock says that nobody else is there */
    mode_t before = umask(0177);
    int done = bind(fd, (const struct sockaddr *)&address, sizeof address);
    umask(before);
    if (done < 0)
        return err_errno(err, "%s/" NAME, run_dir);
    *out_fd = TAKE_FD(fd);
    return 0;
}

bool knob_take(int fd, char *out, size_t out_size)
{
    ssize_t len = recv(fd, out, out_size - 1, MSG_TRUNC);
    if (len < 0)
        return false;
    out[MIN((size_t)len, out_size - 1)] = 0;
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = ' ';
    return true;
}

int recorder_trigger(const char *run_dir, const char *text, struct err *err)
{
    cleanup_close int dir = -1;
    struct sockaddr_un address;
    if (address_in(run_dir, &dir, &address, err) < 0)
        return -1;
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, NAME);
    if (sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address,
               sizeof address) >= 0)
        return 0;
    if (errno == ENOENT || errno == ECONNREFUSED)
        return err_set(err, ERR_UNREACHABLE, "no recorder listens in %s; the agent starts it", run_dir);
    return err_errno(err, "%s/" NAME, run_dir);
}
