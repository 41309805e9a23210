/* The GPU, the memory controller and the fixed-function engines.
 *
 *     Tegra to L4T 36    devfreq whose of_node/name is gp10b, gv11b, ga10b, gpu…: device/load 0..1000, cur_freq Hz; memory is the machine's: absent
 *     Tegra L4T 38       devfreq gpu-gpc-0 (cur_freq), no load: NVML says it
 *     amdgpu, i915       drm/card*: gpu_busy_percent, mem_info_vram_used; gt_act_freq_mhz
 *     other NVIDIA       NVML, opened only where its driver is loaded
 *
 * EMC and engines are in debugfs: absent without the right to read it.
 */
#include "base/str.h"
#include "robot/board/inside.h"

#include <math.h>
#include <string.h>

static bool is_tegra_gpu(const char *name)
{
    static const char *const chips[] = {"gm20b", "gp10b", "gv11b", "ga10b", "gb10b"};
    for (size_t i = 0; i < ARRAY_LEN(chips); i++)
        if (str_eq(name, chips[i]))
            return true;
    return strstr(name, "gpu") != NULL;
}

static bool find_tegra(struct board *board)
{
    struct tree_names found;
    char name[32];
    tree_list(&board->tree, &found, "", "sys/class/devfreq");
    for (size_t i = 0; i < found.count; i++) {
        const char *dev = found.names[i];
        if (str_starts(dev, "gpu-gpc")) {
            snprintf(board->gpu_hz, sizeof board->gpu_hz, "sys/class/devfreq/%s/cur_freq", dev);
            return true;
        }
        if (!tree_line(&board->tree, name, sizeof name, "sys/class/devfreq/%s/device/of_node/name", dev) ||
            !is_tegra_gpu(name))
            continue;
        snprintf(board->gpu_load, sizeof board->gpu_load, "sys/class/devfreq/%s/device/load", dev);
        snprintf(board->gpu_hz, sizeof board->gpu_hz, "sys/class/devfreq/%s/cur_freq", dev);
        board->gpu_load_scale = 1e-3;
        return true;
    }
    return false;
}

static bool find_drm(struct board *board)
{
    struct tree_names found;
    tree_list(&board->tree, &found, "card", "sys/class/drm");
    for (size_t i = 0; i < found.count; i++) {
        const char *card = found.names[i];
        if (tree_exists(&board->tree, "sys/class/drm/%s/device/gpu_busy_percent", card)) {
            snprintf(board->gpu_load, sizeof board->gpu_load, "sys/class/drm/%s/device/gpu_busy_percent",
                     card);
            snprintf(board->gpu_memory, sizeof board->gpu_memory,
                     "sys/class/drm/%s/device/mem_info_vram_used", card);
            board->gpu_load_scale = 1e-2;
            return true;
        }
        if (tree_exists(&board->tree, "sys/class/drm/%s/gt_act_freq_mhz", card)) {
            snprintf(board->gpu_hz, sizeof board->gpu_hz, "sys/class/drm/%s/gt_act_freq_mhz", card);
            board->gpu_hz_scale = 1e6;
            return true;
        }
    }
    return false;
}

static void find_gpu(struct board *board)
{
    board->gpu_load[0] = board->gpu_hz[0] = board->gpu_memory[0] = '\0';
    board->gpu_hz_scale = 1;
    bool found = find_tegra(board) || find_drm(board);
    if (!board->nvml && !board->tree.recorded && (!found || !board->gpu_load[0]) &&
        tree_exists(&board->tree, "proc/driver/nvidia/version"))
        board->nvml = board_nvml_open();
}

static double number_or_nan(const struct board *board, const char *path, double scale)
{
    double value;
    return *path && tree_number(&board->tree, &value, "%s", path) && value >= 0 ? value * scale : NAN;
}

static void read_gpu(struct board *board, int64_t now_ms, struct board_sample *out)
{
    (void)now_ms;
    double share = number_or_nan(board, board->gpu_load, board->gpu_load_scale);
    out->gpu_share = share <= 1 ? share : NAN;
    out->gpu_hz = number_or_nan(board, board->gpu_hz, board->gpu_hz_scale);
    out->gpu_memory_bytes = number_or_nan(board, board->gpu_memory, 1);
    if (board->nvml)
        board_nvml_read(board->nvml, out);
}

const struct board_source board_gpu = {.find = find_gpu, .read = read_gpu};

static const struct {
    const char *clock, *engine;
} clocks[] = {
    {"dla0_core", "dla0"},
    {"dla1_core", "dla1"},
    {"nafll_dla0_core", "dla0"},
    {"nafll_dla1_core", "dla1"},
    {"pva0_vps", "pva0"},
    {"pva0_cpu_axi", "pva0"},
    {"nvenc", "nvenc"},
    {"msenc", "nvenc"},
    {"nvenc1", "nvenc1"},
    {"nvdec", "nvdec"},
    {"nvdec1", "nvdec1"},
    {"nvjpg", "nvjpg"},
    {"nvjpg1", "nvjpg1"},
    {"vic", "vic"},
    {"vic03", "vic"},
    {"ofa", "ofa"},
};

static bool has_engine(const struct board_places *engines, const char *name)
{
    for (size_t i = 0; i < engines->count; i++)
        if (str_eq(engines->at[i].label, name))
            return true;
    return false;
}

static void find_engines(struct board *board)
{
    board->engines.count = 0;
    for (size_t i = 0; i < ARRAY_LEN(clocks) && board->engines.count < BOARD_MAX_ENGINES; i++)
        if (!has_engine(&board->engines, clocks[i].engine) &&
            tree_exists(&board->tree, "sys/kernel/debug/clk/%s/clk_rate", clocks[i].clock))
            board_place_add(&board->engines, clocks[i].engine, 1, "sys/kernel/debug/clk/%s", clocks[i].clock);
}

/* A gated engine keeps the rate it was last set to: 0 Hz is what it runs at. */
static void read_engine(const struct board *board, const struct board_place *place, struct board_sample *out)
{
    double rate, enabled;
    if (tree_number(&board->tree, &rate, "%s/clk_rate", place->path) &&
        tree_number(&board->tree, &enabled, "%s/clk_enable_count", place->path))
        board_named_add(out->engines, &out->engine_count, BOARD_MAX_ENGINES, place->label,
                        enabled > 0 ? rate : 0);
}

/* Activity and rate of the memory controller are both in kHz in the monitor and Hz in the clock tree. */
static double emc_share(const struct board *board)
{
    static const char *const activities[] = {"sys/kernel/debug/cactmon/mc_all",
                                             "sys/kernel/debug/bpmp/debug/actmon/mc_all_avg_activity",
                                             "sys/kernel/actmon_avg_activity/mc_all"};
    double rate, activity;
    if (!tree_number(&board->tree, &rate, "sys/kernel/debug/bpmp/debug/clk/emc/rate") &&
        !tree_number(&board->tree, &rate, "sys/kernel/debug/clk/emc/clk_rate"))
        return NAN;
    for (size_t i = 0; i < ARRAY_LEN(activities); i++)
        if (tree_number(&board->tree, &activity, "%s", activities[i]) && rate > 0 && activity >= 0 &&
            activity * 1e3 <= rate)
            return activity * 1e3 / rate;
    return NAN;
}

static void read_engines(struct board *board, int64_t now_ms, struct board_sample *out)
{
    (void)now_ms;
    for (size_t i = 0; i < board->engines.count; i++)
        read_engine(board, &board->engines.at[i], out);
    out->emc_share = emc_share(board);
}

const struct board_source board_engines = {.find = find_engines, .read = read_engines};
