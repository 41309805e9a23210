#include "robot/agent/lastline.h"

#include "base/mem.h"
#include "base/str.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Behind "2026-01-02T03:04:05.678Z error runner: " or "muster-runner: ", if it begins so. */
static const char *behind_prefix(const char *line)
{
    if (line[0] >= '0' && line[0] <= '9' && strchr(line, 'Z')) {
        const char *colon = strstr(line, ": ");
        return colon ? colon + 2 : line;
    }
    return str_starts(line, "muster-runner: ") ? line + strlen("muster-runner: ") : line;
}

void last_line(const char *path, char *out, size_t out_size)
{
    char tail[1024];
    struct stat st;
    out[0] = 0;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    off_t from = MAX(st.st_size - (off_t)sizeof tail + 1, (off_t)0);
    ssize_t got = pread(fd, tail, sizeof tail - 1, from);
    if (got <= 0)
        return;
    while (got > 0 && (tail[got - 1] == '\n' || tail[got - 1] == 0))
        got--;
    tail[got] = 0;
    const char *newline = strrchr(tail, '\n');
    str_copy(out, out_size, behind_prefix(newline ? newline + 1 : tail));
}
