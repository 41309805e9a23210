/* RUN_DIR/recorder.sock: a datagram socket (0600), through which people on the robot pull the trigger. */
#ifndef MUSTER_ROBOT_RECORDER_KNOB_H
#define MUSTER_ROBOT_RECORDER_KNOB_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

int knob_open(const char *run_dir, int *out_fd, struct err *err) must_check;
/* One line without control characters; false: nothing there. */
bool knob_take(int fd, char *out, size_t out_size);

#endif
