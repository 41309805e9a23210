#include "robot/estop/line.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <poll.h>
#include <sys/ioctl.h>

static int chip_read(struct line *line, bool *out_active, struct err *err)
{
    struct gpio_v2_line_values values = {.mask = 1};
    if (ioctl(line->fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &values) < 0)
        return err_errno(err, "GPIO line");
    *out_active = (values.bits & 1) != 0;
    return 0;
}

/* What an edge meant is not asked: the level is read after it. */
static void chip_drain(struct line *line)
{
    struct gpio_v2_line_event events[16];
    while (read(line->fd, events, sizeof events) > 0)
        ;
}

static void chip_close(struct line *line)
{
    mem_cleanup_close(&line->fd);
    free(line);
}

static const struct line_ops chip_ops = {.read = chip_read, .drain = chip_drain, .close = chip_close};

static uint64_t flags_of(const struct line_options *options)
{
    static const uint64_t bias[] = {[LINE_BIAS_NONE] = 0,
                                    [LINE_BIAS_PULL_UP] = GPIO_V2_LINE_FLAG_BIAS_PULL_UP,
                                    [LINE_BIAS_PULL_DOWN] = GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN};
    return GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING |
           (options->active_low ? GPIO_V2_LINE_FLAG_ACTIVE_LOW : 0) | bias[options->bias];
}

int line_open_chip(const struct line_options *options, struct line **out, struct err *err)
{
    cleanup_close int chip = open(options->chip, O_RDWR | O_CLOEXEC);
    if (chip < 0)
        return err_errno(err, "%s", options->chip);
    struct gpio_v2_line_request request = {
        .offsets = {options->offset}, .num_lines = 1, .config.flags = flags_of(options)};
    str_copy(request.consumer, sizeof request.consumer, "muster-estop");
    if (ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &request) < 0)
        return errno == EINVAL || errno == ENOTTY
                   ? err_errno(err, "%s line %u (Linux 5.10 or newer? A chip without bias wants --bias none)",
                               options->chip, options->offset)
                   : err_errno(err, "%s line %u", options->chip, options->offset);
    struct line *line = mem_zalloc(1, sizeof *line);
    if (!line || fcntl(request.fd, F_SETFL, O_NONBLOCK) < 0) {
        close(request.fd);
        free(line);
        return err_no_memory(err);
    }
    *line = (struct line){.ops = &chip_ops, .fd = request.fd, .events = POLLIN};
    *out = line;
    return 0;
}
