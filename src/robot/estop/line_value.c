#include "robot/estop/line.h"

#include <fcntl.h>
#include <poll.h>

struct value_line {
    struct line base;
    bool active_low;
};

/* Exactly "0" or "1", with or without a newline: anything else is no reading. */
static int value_read(struct line *line, bool *out_active, struct err *err)
{
    char text[4];
    ssize_t len = pread(line->fd, text, sizeof text, 0);
    if (len < 0)
        return err_errno(err, "value of the line");
    if (len < 1 || len > 2 || (text[0] != '0' && text[0] != '1') || (len == 2 && text[1] != '\n'))
        return err_set(err, ERR_INVALID, "value of the line is neither 0 nor 1");
    *out_active = (text[0] == '1') != ((const struct value_line *)(const void *)line)->active_low;
    return 0;
}

static void value_drain(struct line *line)
{
    (void)line; /* the next read does it */
}

static void value_close(struct line *line)
{
    mem_cleanup_close(&line->fd);
    free(line);
}

static const struct line_ops value_ops = {.read = value_read, .drain = value_drain, .close = value_close};

int line_open_value(const struct line_options *options, struct line **out, struct err *err)
{
    int fd = open(options->value, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s", options->value);
    struct value_line *line = mem_zalloc(1, sizeof *line);
    if (!line) {
        close(fd);
        return err_no_memory(err);
    }
    *line = (struct value_line){.base = {.ops = &value_ops, .fd = fd, .events = POLLPRI},
                                .active_low = options->active_low};
    *out = &line->base;
    return 0;
}
