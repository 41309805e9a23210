/* A hardware line that says whether the emergency stop is pressed: where it comes from is behind a table of functions.
 *
 *   chip    a line of /dev/gpiochipN through the kernel's GPIO character device, version 2 of its interface (Linux 5.10),
 *           edges as events. Not through libgpiod: its two major versions have different interfaces (Debian 12 has 1.6,
 *           Debian 13 has 2.2), and what is needed here is two ioctls.
 *   value   the value file of a line that was exported in sysfs (/sys/class/gpio/gpio17/value), for kernels before that
 *           (JetPack 4 has 4.9); edges by POLLPRI where its `edge` says "both"
 *
 * Which level means "pressed" is the wiring's: with a normally closed contact to ground and a pull-up the line is high when
 * the button is pressed and also when the wire is broken. That is the default (active high).
 */
#ifndef MUSTER_ROBOT_ESTOP_LINE_H
#define MUSTER_ROBOT_ESTOP_LINE_H

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct line;

struct line_ops {
    int (*read)(struct line *line, bool *out_active, struct err *err);
    void (*drain)(struct line *line); /* events that poll() told of */
    void (*close)(struct line *line);
};

struct line { /* the head of each implementation */
    const struct line_ops *ops;
    int fd; /* to be polled for `events` */
    short events;
};

enum line_bias { LINE_BIAS_NONE, LINE_BIAS_PULL_UP, LINE_BIAS_PULL_DOWN };

struct line_options {
    const char *chip; /* "/dev/gpiochip0", or NULL */
    uint32_t offset;  /* of the line on the chip */
    enum line_bias bias;
    const char *value; /* "/sys/class/gpio/gpio17/value", or NULL */
    bool active_low;
};

int line_open(const struct line_options *options, struct line **out, struct err *err) must_check;
void line_close(struct line *line);
MUSTER_CLEANUP(struct line *, line_close)
#define cleanup_line __attribute__((cleanup(line_closep)))

/* line_chip.c, line_value.c */
int line_open_chip(const struct line_options *options, struct line **out, struct err *err) must_check;
int line_open_value(const struct line_options *options, struct line **out, struct err *err) must_check;

#endif
