#include "base/mem.h"
#include "base/str.h"
#include "sys/proc.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>

char *proc_self_dir(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);
    if (len <= 0 || len == (ssize_t)sizeof path)
        return NULL;
    while (len > 1 && path[len - 1] != '/')
        len--;
    return mem_strndup(path, len > 1 ? (size_t)len - 1 : 1);
}

/* The state letter behind the last ')' of /proc/PID/stat (the program's name before it may hold anything). */
static char state_of(pid_t pid)
{
    char path[40], line[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup_file FILE *file = fopen(path, "re");
    if (!file || !fgets(line, sizeof line, file))
        return 0;
    const char *end = strrchr(line, ')');
    return end && end[1] == ' ' ? end[2] : 0;
}

bool proc_alive(pid_t pid)
{
    if (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH))
        return false;
    char state = state_of(pid);
    return state != 'Z' && state != 'X' && state != 0;
}

uint64_t proc_rss_bytes(pid_t pid)
{
    char path[40], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    cleanup_file FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (str_starts(line, "VmRSS:"))
            kib = strtoull(line + 6, NULL, 10);
    return kib * 1024;
}
