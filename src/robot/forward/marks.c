#include "robot/forward/marks.h"

#include "base/hex.h"
#include "base/str.h"
#include "robot/forward/crc32c.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

enum { MAX_BYTES = 8 << 10 };

const char *const forward_class_names[FORWARD_CLASSES] = {"event", "metric", "sample"};

static int format(const struct marks *marks, struct buf *out, struct err *err)
{
    char stream[2 * SEGMENT_STREAM + 1];
    hex_encode(marks->stream, SEGMENT_STREAM, stream);
    if (buf_printf(out, err, "muster-forward 1\nstream %s\nboot %s\n", stream,
                   marks->boot[0] ? marks->boot : "-") < 0)
        return -1;
    for (size_t i = 0; i < FORWARD_CLASSES; i++)
        if (buf_printf(out, err, "%s %llu %llu %llu %llu\n", forward_class_names[i],
                       (unsigned long long)marks->of[i].acked, (unsigned long long)marks->of[i].offered,
                       (unsigned long long)marks->of[i].bound, (unsigned long long)marks->of[i].settled) < 0)
            return -1;
    if (marks->owed &&
        buf_printf(out, err, "owed %llu %s\n", (unsigned long long)marks->owed, marks->owed_text) < 0)
        return -1;
    return buf_printf(out, err, "check %08x\n", crc32c(0, out->data, out->len));
}

int marks_write(const char *dir, const struct marks *marks, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(MAX_BYTES);
    cleanup_free char *path = file_join(dir, "marks");
    if (!path)
        return err_no_memory(err);
    if (format(marks, &text, err) < 0)
        return -1;
    return file_replace(path, text.data, text.len, 0600, err);
}

static bool get_stream(const char *line, struct marks *out)
{
    return strlen(line) == 2 * SEGMENT_STREAM && hex_decode(line, strlen(line), out->stream);
}

static bool get_class(const char *line, size_t class, struct marks *out)
{
    unsigned long long v[4];
    if (sscanf(line, "%llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3]) != 4)
        return false;
    out->of[class].acked = v[0];
    out->of[class].offered = v[1];
    out->of[class].bound = v[2];
    out->of[class].settled = v[3];
    return true;
}

static bool get_owed(const char *line, struct marks *out)
{
    int used = 0;
    unsigned long long seq = 0;
    if (sscanf(line, "%llu %n", &seq, &used) != 1 || used == 0)
        return false;
    out->owed = seq;
    str_copy(out->owed_text, sizeof out->owed_text, line + used);
    return true;
}

static bool get_line(const char *line, struct marks *out)
{
    for (size_t i = 0; i < FORWARD_CLASSES; i++) {
        size_t len = strlen(forward_class_names[i]);
        if (strncmp(line, forward_class_names[i], len) == 0 && line[len] == ' ')
            return get_class(line + len + 1, i, out);
    }
    if (strncmp(line, "stream ", 7) == 0)
        return get_stream(line + 7, out);
    if (strncmp(line, "owed ", 5) == 0)
        return get_owed(line + 5, out);
    if (strncmp(line, "boot ", 5) == 0)
        str_copy(out->boot, sizeof out->boot, line + 5);
    return true;
}

/* What is read must say, when written again, just what was there: so nothing else has to be checked. */
static bool parse(struct buf *text, struct marks *out)
{
    struct err err = {0};
    cleanup_buf struct buf copy = BUF_INIT(MAX_BYTES), again = BUF_INIT(MAX_BYTES);
    if (buf_put(&copy, text->data, text->len, &err) < 0)
        return false;
    for (char *line = (char *)copy.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        if (!get_line(line, out))
            return false;
    }
    return format(out, &again, &err) == 0 && again.len == text->len &&
           memcmp(again.data, text->data, text->len) == 0;
}

int marks_read(const char *dir, struct marks *out, bool *out_damaged, struct err *err)
{
    *out = (struct marks){0};
    *out_damaged = false;
    cleanup_buf struct buf text = BUF_INIT(MAX_BYTES);
    cleanup_free char *path = file_join(dir, "marks");
    if (!path)
        return err_no_memory(err);
    if (file_read(path, &text, err) < 0 && err->code != ERR_TOO_BIG) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        *err = (struct err){0};
        return 0;
    }
    *err = (struct err){0};
    if (parse(&text, out))
        return 1;
    *out = (struct marks){0};
    *out_damaged = true;
    return 0;
}
