#include "robot/board/board.h"
#include "base/clock.h"
#include "base/str.h"
#include "robot/board/inside.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

static const struct board_source *const sources[] = {
    &board_identity, &board_cpu,     &board_memory,  &board_thermal, &board_throttle, &board_power,
    &board_gpu,      &board_engines, &board_battery, &board_link,    &board_disk,
};

_Static_assert(ARRAY_LEN(sources) <= ARRAY_LEN(((struct board *)NULL)->skip), "a slot for each source");

double board_counter_rate(struct board_counter *counter, double value, int64_t now_ms)
{
    bool usable = counter->known && now_ms > counter->at_ms && value >= counter->last;
    double rate = usable ? (value - counter->last) * 1000 / (double)(now_ms - counter->at_ms) : NAN;
    *counter = (struct board_counter){.last = value, .at_ms = now_ms, .known = true};
    return rate;
}

bool board_place_add(struct board_places *places, const char *label, double scale, const char *path_format,
                     ...)
{
    if (places->count == ARRAY_LEN(places->at))
        return false;
    struct board_place *place = &places->at[places->count];
    *place = (struct board_place){.scale = scale};
    str_copy(place->label, sizeof place->label, label);
    va_list args;
    va_start(args, path_format);
    int len = vsnprintf(place->path, sizeof place->path, path_format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof place->path)
        return false;
    places->count++;
    return true;
}

bool board_named_add(struct board_named *list, size_t *count, size_t max, const char *name, double value)
{
    if (*count == max || !isfinite(value))
        return false;
    struct board_named *named = &list[(*count)++];
    str_copy(named->name, sizeof named->name, name);
    named->value = value;
    return true;
}

static void find_all(struct board *board)
{
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        if (sources[i]->find)
            sources[i]->find(board);
}

int board_open(const char *root, const char *state_dir, struct board **out, struct err *err)
{
    cleanup_board struct board *board = mem_zalloc(1, sizeof *board);
    if (!board)
        return err_no_memory(err);
    board->tree.root_fd = -1;
    board->state_dir = mem_strdup(state_dir);
    if (!board->state_dir)
        return err_no_memory(err);
    if (tree_open(root, &board->tree, err) < 0)
        return -1;
    find_all(board);
    *out = TAKE_PTR(board);
    return 0;
}

void board_free(struct board *board)
{
    if (!board)
        return;
    board_nvml_free(board->nvml);
    tree_close(&board->tree);
    free(board->state_dir);
    free(board);
}

static const struct board_sample nothing = {
    .cpu_share = NAN,
    .load1 = NAN,
    .pressure_cpu = NAN,
    .pressure_memory = NAN,
    .pressure_io = NAN,
    .memory_total_bytes = NAN,
    .memory_available_bytes = NAN,
    .swap_used_bytes = NAN,
    .group_memory_bytes = NAN,
    .group_oom_kills = NAN,
    .cpu_hz = NAN,
    .gpu_share = NAN,
    .gpu_hz = NAN,
    .gpu_memory_bytes = NAN,
    .emc_share = NAN,
    .throttled = NAN,
    .power_w = NAN,
    .battery_share = NAN,
    .battery_w = NAN,
    .battery_c = NAN,
    .disk_total_bytes = NAN,
    .disk_free_bytes = NAN,
    .link_up = NAN,
    .link_rx_bps = NAN,
    .link_tx_bps = NAN,
    .link_signal_dbm = NAN,
};

void board_sample(struct board *board, int64_t now_ms, struct board_sample *out)
{
    *out = nothing;
    if (++board->turn % BOARD_FIND_TURNS == 0)
        find_all(board);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        if (board->skip[i]) {
            board->skip[i]--;
            continue;
        }
        int64_t before = clock_mono_ns();
        sources[i]->read(board, now_ms, out);
        if (clock_mono_ns() - before > BOARD_SLOW_NS && !board->tree.recorded) /* there no bus is sick */
            board->skip[i] = BOARD_SLOW_TURNS - 1;
    }
    if (isnan(out->power_w) && out->battery_w < 0)
        out->power_w = -out->battery_w; /* on battery, what leaves it is what the board takes */
}

double board_hottest(const struct board_sample *sample)
{
    double hottest = NAN;
    for (size_t i = 0; i < sample->zone_count; i++)
        hottest = fmax(hottest, sample->zones[i].value);
    return hottest;
}
