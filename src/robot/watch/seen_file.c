#include "robot/watch/seen_file.h"

#include "base/buf.h"
#include "base/mem.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char *path_of(const char *run_dir)
{
    return file_join(run_dir, "watch.seen");
}

static bool same(const struct seen_stamp *a, const struct seen_stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->time.tv_sec == b->time.tv_sec &&
           a->time.tv_nsec == b->time.tv_nsec;
}

int seen_file_look(const char *run_dir, struct seen_stamp *stamp, struct seen_list *out, struct err *err)
{
    struct stat st;
    cleanup_buf struct buf bytes = BUF_INIT(SEEN_MAX_BYTES);
    cleanup_free char *path = path_of(run_dir);
    if (!path)
        return err_no_memory(err);
    if (stat(path, &st) < 0)
        return 0;
    struct seen_stamp now = {.inode = st.st_ino, .size = st.st_size, .time = st.st_mtim};
    if (same(stamp, &now))
        return 0;
    *stamp = now; /* one that is put there meanwhile is another one, and is read next time */
    if (file_read(path, &bytes, err) < 0 || seen_parse(buf_text(&bytes), bytes.len, out, err) < 0)
        return err_prefix(err, "%s", path);
    return 1;
}

int seen_file_save(const char *run_dir, const struct seen_list *list, struct err *err)
{
    cleanup_free char *path = path_of(run_dir);
    cleanup_free char *text = seen_format(list);
    if (!path || !text)
        return err_no_memory(err);
    return file_replace(path, text, strlen(text), 0600, err);
}
