#include "robot/watch/mailbox.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { DIGITS = 20, STALE_MS = 60000 };

static const struct {
    const char *suffix;
    size_t most; /* files, this one among them */
} kinds[MAILBOX_KINDS] = {
    [MAILBOX_EVENT] = {".event", MAILBOX_MAX},
    [MAILBOX_METRIC] = {".metric", MAILBOX_MAX_METRICS},
    [MAILBOX_SAMPLE] = {".sample", MAILBOX_MAX_SAMPLES},
};

static char *path_of(const struct mailbox *mailbox, uint64_t number, enum mailbox_kind kind)
{
    return mem_printf("%s/%0*llu%s", mailbox->dir, DIGITS, (unsigned long long)number, kinds[kind].suffix);
}

static bool parse_name(const char *name, uint64_t *out_number, enum mailbox_kind *out_kind)
{
    char digits[DIGITS + 1];
    if (strlen(name) < DIGITS)
        return false;
    memcpy(digits, name, DIGITS);
    digits[DIGITS] = 0;
    if (!str_to_u64(digits, out_number) || *out_number == 0 || *out_number == UINT64_MAX)
        return false;
    for (int kind = 0; kind < MAILBOX_KINDS; kind++) {
        *out_kind = (enum mailbox_kind)kind;
        if (str_eq(name + DIGITS, kinds[kind].suffix))
            return true;
    }
    return false;
}

struct survey {
    size_t count;
    uint64_t largest;
};

static int count_one(const char *name, void *arg)
{
    struct survey *survey = arg;
    uint64_t number;
    enum mailbox_kind kind;
    if (parse_name(name, &number, &kind)) {
        survey->count++;
        survey->largest = MAX(survey->largest, number);
    }
    return 0;
}

int mailbox_open(const char *run_dir, struct mailbox *out, struct err *err)
{
    struct survey survey = {0};
    *out = (struct mailbox){0};
    if (snprintf(out->dir, sizeof out->dir, "%s/watch", run_dir) >= (int)sizeof out->dir)
        return err_set(err, ERR_INVALID, "%.100s…: too long a path for a run directory", run_dir);
    if (mkdir(out->dir, 0700) < 0 && errno != EEXIST)
        return err_errno(err, "%s", out->dir);
    if (file_list(out->dir, count_one, &survey, err) < 0)
        return -1;
    out->next = MAX(survey.largest + 1, (uint64_t)MAX(clock_wall_ms(), 1));
    return 0;
}

int mailbox_put(struct mailbox *mailbox, enum mailbox_kind kind, const void *data, size_t len,
                struct err *err)
{
    struct survey survey = {0};
    if (file_list(mailbox->dir, count_one, &survey, err) < 0)
        return -1;
    if (survey.count >= kinds[kind].most)
        return 0;
    mailbox->next = MAX(mailbox->next, survey.largest + 1);
    cleanup_free char *path = path_of(mailbox, mailbox->next, kind);
    if (!path)
        return err_no_memory(err);
    if (file_replace(path, data, len, 0600, err) < 0)
        return -1;
    mailbox->next++;
    return 1;
}

struct search {
    const struct mailbox *mailbox;
    struct buf *out;
    uint64_t number;
    enum mailbox_kind kind;
    int found; /* 1, 0, -1 */
    struct err *err;
};

/* What a writer is at just now has a temporary name. */
static bool in_work(const char *path)
{
    struct stat st;
    if (!strstr(path, FILE_TEMP_MARK) || lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    int64_t age_ms = clock_wall_ms() - ((int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
    return age_ms < STALE_MS && age_ms > -STALE_MS;
}

static void remove_nonsense(const char *path)
{
    struct err ignored = {0};
    if (!in_work(path) && file_remove_tree(path, &ignored) < 0)
        return; /* the next look tries again */
}

static bool is_file(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int look_at(const char *name, void *arg)
{
    struct search *search = arg;
    struct err err = {0};
    cleanup_free char *path = file_join(search->mailbox->dir, name);
    if (!path) {
        search->found = err_no_memory(search->err);
        return 1;
    }
    buf_reset(search->out);
    if (!parse_name(name, &search->number, &search->kind) || !is_file(path)) {
        remove_nonsense(path);
    } else if (file_read(path, search->out, &err) == 0) {
        search->found = 1;
    } else if (err.code == ERR_TOO_BIG) {
        remove_nonsense(path);
    } else if (err.code != ERR_NOT_FOUND) {
        *search->err = err;
        search->found = -1;
    }
    return search->found != 0;
}

int mailbox_take(struct mailbox *mailbox, uint64_t *out_number, enum mailbox_kind *out_kind, struct buf *out,
                 struct err *err)
{
    struct search search = {.mailbox = mailbox, .out = out, .err = err};
    if (file_list(mailbox->dir, look_at, &search, err) < 0)
        return -1;
    if (search.found == 1) {
        *out_number = search.number;
        *out_kind = search.kind;
    }
    return search.found;
}

int mailbox_drop(struct mailbox *mailbox, uint64_t number, enum mailbox_kind kind, struct err *err)
{
    cleanup_free char *path = path_of(mailbox, number, kind);
    if (!path)
        return err_no_memory(err);
    return unlink(path) < 0 && errno != ENOENT ? err_errno(err, "%s", path) : 0;
}
