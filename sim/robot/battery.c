#include "sim/robot/battery.h"
#include "base/mem.h"
#include "sys/file.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define VOLTAGE_V 22.2

static int put(const char *dir, const char *name, const char *text, struct err *err)
{
    char path[512], fresh[520];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    cleanup_close int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t len = strlen(text);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || rename(fresh, path) < 0)
        return err_errno(err, "%s", path);
    return 0;
}

static int put_number(const char *dir, const char *name, double value, struct err *err)
{
    char text[32];
    snprintf(text, sizeof text, "%.0f\n", value);
    return put(dir, name, text, err);
}

int battery_show(const char *board, double share, double power_w, struct err *err)
{
    char dir[480];
    snprintf(dir, sizeof dir, "%s/sys/class/power_supply/BAT0", board);
    if (file_make_dirs(dir, 0755, err) < 0 || put(dir, "type", "Battery\n", err) < 0 ||
        put(dir, "present", "1\n", err) < 0 ||
        put(dir, "status", power_w > 0 ? "Charging\n" : "Discharging\n", err) < 0 ||
        put_number(dir, "capacity", 100 * share, err) < 0 ||
        put_number(dir, "voltage_now", VOLTAGE_V * 1e6, err) < 0)
        return -1;
    return put_number(dir, "current_now", fabs(power_w) / VOLTAGE_V * 1e6, err);
}
