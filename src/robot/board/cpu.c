/* Processors: /proc/stat, /proc/loadavg, pressure stall information, frequencies. */
#include "base/str.h"
#include "robot/board/inside.h"

#include <math.h>
#include <string.h>

/* Mean of "cpu MHz" where no governor says the frequency of now (virtual machines). */
static double fixed_hz(const struct board *board)
{
    char text[TREE_READ_BYTES];
    double sum = 0, mhz;
    int cores = 0;
    tree_text(&board->tree, text, sizeof text, "proc/cpuinfo");
    for (const char *at = text; (at = strstr(at, "cpu MHz")); at++)
        if (sscanf(at, "cpu MHz : %lf", &mhz) == 1 && mhz > 0) {
            sum += mhz;
            cores++;
        }
    return cores ? sum / cores * 1e6 : NAN;
}

static void find(struct board *board)
{
    struct tree_names found;
    tree_list(&board->tree, &found, "policy", "sys/devices/system/cpu/cpufreq");
    board->policy_count = MIN(found.count, (size_t)BOARD_POLICIES);
    memcpy(board->policies, found.names, board->policy_count * sizeof board->policies[0]);
    board->cpu_hz_fixed = board->policy_count ? NAN : fixed_hz(board);
}

/* "cpu  user nice system idle iowait irq softirq steal …" in ticks; steal counts as busy: we did not get it. */
static void read_share(struct board *board, int64_t now_ms, struct board_sample *out)
{
    char text[512];
    double user, nice, system, idle, wait = 0, irq = 0, soft = 0, steal = 0;
    if (!tree_text(&board->tree, text, sizeof text, "proc/stat") ||
        sscanf(text, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &wait, &irq, &soft,
               &steal) < 4)
        return;
    double busy = user + nice + system + irq + soft + steal;
    double busy_rate = board_counter_rate(&board->cpu_busy, busy, now_ms);
    double total_rate = board_counter_rate(&board->cpu_total, busy + idle + wait, now_ms);
    if (total_rate > 0 && busy_rate >= 0)
        out->cpu_share = fmin(busy_rate / total_rate, 1);
}

static double pressure(const struct board *board, const char *what)
{
    char text[256];
    double avg10;
    if (!tree_text(&board->tree, text, sizeof text, "proc/pressure/%s", what) ||
        sscanf(text, "some avg10=%lf", &avg10) != 1 || !(avg10 >= 0 && avg10 <= 100))
        return NAN;
    return avg10 / 100;
}

static double frequency(const struct board *board)
{
    double sum = 0, khz;
    int known = 0;
    for (size_t i = 0; i < board->policy_count; i++)
        if (tree_number(&board->tree, &khz, "sys/devices/system/cpu/cpufreq/%s/scaling_cur_freq",
                        board->policies[i]) &&
            khz > 0) {
            sum += khz;
            known++;
        }
    return known ? sum / known * 1e3 : board->cpu_hz_fixed;
}

static void read_cpu(struct board *board, int64_t now_ms, struct board_sample *out)
{
    char text[64];
    double load;
    read_share(board, now_ms, out);
    if (tree_text(&board->tree, text, sizeof text, "proc/loadavg") && sscanf(text, "%lf", &load) == 1 &&
        load >= 0 && isfinite(load))
        out->load1 = load;
    out->pressure_cpu = pressure(board, "cpu");
    out->pressure_memory = pressure(board, "memory");
    out->pressure_io = pressure(board, "io");
    out->cpu_hz = frequency(board);
}

const struct board_source board_cpu = {.find = find, .read = read_cpu};
