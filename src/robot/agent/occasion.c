#include "robot/agent/occasion.h"
#include "base/clock.h"
#include "base/mem.h"
#include "robot/ctl/busy.h"
#include "robot/decide/occasion.h"

#include <math.h>
#include <time.h>

enum { LOOK_MS = 1000 };

int occasion_open(const struct agent_config *config, struct occasion_watch *out, struct err *err)
{
    *out = (struct occasion_watch){.config = config, .lock_fd = -1};
    if (config->update_battery > 0 && board_open(config->board_root, config->state_dir, &out->board, err) < 0)
        return -1;
    out->lock_fd = busy_open(config->run_dir, true, err);
    return out->lock_fd < 0 ? -1 : 0;
}

void occasion_close(struct occasion_watch *watch)
{
    mem_cleanup_close(&watch->lock_fd);
    watch->lock_fd = -1;
    board_free(TAKE_PTR(watch->board));
}

static int local_minute(void)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm local;
    return localtime_r(&now, &local) ? local.tm_hour * 60 + local.tm_min : 0;
}

static bool look(struct occasion_watch *watch, int64_t now_ms)
{
    struct occasion now = {.battery = NAN, .minute = local_minute()};
    const struct occasion_limits limits = {.min_battery = watch->config->update_battery,
                                           .from_hour = (int)watch->config->update_from_hour,
                                           .until_hour = (int)watch->config->update_until_hour};
    if (watch->board) {
        struct board_sample sample;
        board_sample(watch->board, now_ms, &sample);
        now.battery = sample.battery_share;
        now.charging = sample.battery_charging;
    }
    now.busy = busy_take(watch->lock_fd, true) != 0;
    if (occasion_good(&limits, &now, watch->why, sizeof watch->why))
        return true;
    busy_leave(watch->lock_fd);
    return false;
}

bool occasion_comes(struct occasion_watch *watch, int64_t now_ms)
{
    if (watch->held)
        return true;
    if (now_ms < watch->look_ms)
        return false;
    watch->look_ms = now_ms + LOOK_MS;
    watch->held = look(watch, now_ms);
    return watch->held;
}

void occasion_over(struct occasion_watch *watch)
{
    if (watch->held)
        busy_leave(watch->lock_fd);
    watch->held = false;
}
