/* The empty tree that everything is bound into. */
#include "robot/jail/jail.h"

#include "base/str.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int make_parents(const char *path, struct err *err)
{
    cleanup_free char *parent = mem_strdup(path);
    char *slash = parent ? strrchr(parent, '/') : NULL;
    if (!slash)
        return err_no_memory(err);
    *slash = '\0';
    return file_make_dirs(parent, 0755, err);
}

static int write_new(const char *path, const char *text, struct err *err)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0444);
    size_t len = strlen(text);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || fchmod(fd, 0444) < 0)
        return err_errno(err, "%s", path);
    return 0;
}

static int stage_file(const char *base, const char *target, const char *text, struct err *err)
{
    cleanup_free char *path = mem_printf("%s%s", base, target);
    if (!path)
        return err_no_memory(err);
    return make_parents(path, err) < 0 ? -1 : write_new(path, text, err);
}

static int stage_dir(const char *base, const char *target, struct err *err)
{
    cleanup_free char *path = mem_printf("%s%s", base, target);
    return path ? file_make_dirs(path, 0755, err) : err_no_memory(err);
}

/* A mount point inside a directory that is bound itself has to be there already. */
static bool inside_another(const struct jail *jail, const struct jail_bind *bind)
{
    for (size_t i = 0; i < jail->bind_count; i++) {
        const struct jail_bind *other = &jail->binds[i];
        size_t len = strlen(other->target);
        if (other != bind && other->directory && str_starts(bind->target, other->target) &&
            bind->target[len] == '/')
            return true;
    }
    return false;
}

int jail_stage(const struct jail *jail, const char *base, struct err *err)
{
    if (stage_dir(base, "/proc", err) < 0 || stage_dir(base, "/dev", err) < 0 ||
        stage_dir(base, "/sys", err) < 0)
        return -1;
    for (size_t i = 0; i < jail->bind_count; i++) {
        const struct jail_bind *bind = &jail->binds[i];
        if (inside_another(jail, bind))
            continue;
        if (bind->directory ? stage_dir(base, bind->target, err) < 0
                            : stage_file(base, bind->target, "", err) < 0)
            return -1;
    }
    for (size_t i = 0; i < jail->file_count; i++)
        if (stage_file(base, jail->files[i].target, jail->files[i].text, err) < 0)
            return -1;
    return 0;
}
