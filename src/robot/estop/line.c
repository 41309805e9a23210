#include "robot/estop/line.h"

int line_open(const struct line_options *options, struct line **out, struct err *err)
{
    if ((options->chip != NULL) == (options->value != NULL))
        return err_set(err, ERR_USAGE, "one line is wanted: --chip DEVICE and --line N, or --value FILE");
    return options->chip ? line_open_chip(options, out, err) : line_open_value(options, out, err);
}

void line_close(struct line *line)
{
    line->ops->close(line);
}
