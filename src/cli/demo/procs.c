#include "cli/demo/procs.h"
#include "base/mem.h"
#include "base/str.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>

/* /proc/PID/cmdline or environ, texts separated by 0. Returns the length. */
static size_t read_texts(const char *pid, const char *what, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.16s/%.8s", pid, what);
    cleanup_file FILE *file = fopen(path, "re");
    size_t len = file ? fread(out, 1, size - 1, file) : 0;
    out[len] = 0;
    return len;
}

static bool is_program(const char *argv0, const char *program)
{
    const char *slash = strrchr(argv0, '/');
    return str_eq(slash ? slash + 1 : argv0, program);
}

/* The path segment behind `dir` in the first argument that lies below it, or in MUSTER_RUN_DIR: a runner behind walls
 * has arguments of its own world. */
static bool find_robot(const char *line, size_t len, const char *dir, char *out, size_t size)
{
    static const char run_dir[] = "MUSTER_RUN_DIR=";
    size_t dir_len = strlen(dir);
    for (const char *at = line; at < line + len; at += strlen(at) + 1) {
        if (str_starts(at, run_dir))
            at += strlen(run_dir);
        if (!str_starts(at, dir) || at[dir_len] != '/')
            continue;
        size_t part = strcspn(at + dir_len + 1, "/");
        snprintf(out, size, "%.*s", (int)part, at + dir_len + 1);
        return true;
    }
    return false;
}

size_t procs_find(const char *program, const char *dir, struct procs_found *out, size_t max)
{
    DIR *proc = opendir("/proc");
    if (!proc)
        return 0;
    size_t count = 0;
    for (struct dirent *entry; count < max && (entry = readdir(proc));) {
        char line[8192];
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        size_t len = read_texts(entry->d_name, "cmdline", line, sizeof line / 2);
        int64_t pid;
        if (!len || !is_program(line, program) || !str_to_i64(entry->d_name, &pid))
            continue;
        len += read_texts(entry->d_name, "environ", line + len, sizeof line - len);
        if (find_robot(line, len, dir, out[count].robot, sizeof out[count].robot))
            out[count++].pid = (pid_t)pid;
    }
    closedir(proc);
    return count;
}
