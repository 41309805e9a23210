/* The batteries that feed the machine (not those of its mouse: scope "Device").
 *
 * The sign of a current in sysfs is the driver's business; the status is not: what discharges is negative here.
 */
#include "base/str.h"
#include "robot/board/inside.h"

#include <math.h>
#include <string.h>

static bool feeds_machine(const struct board *board, const char *name)
{
    char text[16];
    if (!tree_text(&board->tree, text, sizeof text, "sys/class/power_supply/%s/type", name) ||
        !str_eq(text, "Battery"))
        return false;
    if (tree_text(&board->tree, text, sizeof text, "sys/class/power_supply/%s/present", name) &&
        str_eq(text, "0"))
        return false;
    return !tree_text(&board->tree, text, sizeof text, "sys/class/power_supply/%s/scope", name) ||
           !str_eq(text, "Device");
}

static void find(struct board *board)
{
    struct tree_names found;
    tree_list(&board->tree, &found, "", "sys/class/power_supply");
    board->battery_count = 0;
    for (size_t i = 0; i < found.count && board->battery_count < BOARD_BATTERIES; i++)
        if (feeds_machine(board, found.names[i]))
            str_copy(board->batteries[board->battery_count++], TREE_NAME_SIZE, found.names[i]);
}

static double field(const struct board *board, const char *battery, const char *name)
{
    double value;
    return tree_number(&board->tree, &value, "sys/class/power_supply/%s/%s", battery, name) ? value : NAN;
}

/* Magnitude in W: power_now µW, or voltage µV × current µA. */
static double watts(const struct board *board, const char *battery)
{
    double power = field(board, battery, "power_now");
    if (isnan(power))
        power = field(board, battery, "voltage_now") * field(board, battery, "current_now") * 1e-6;
    return fabs(power) * 1e-6;
}

/* What the battery holds when full, as its weight among several; 1 if it does not say. */
static double weight(const struct board *board, const char *battery)
{
    double energy = field(board, battery, "energy_full");
    if (isnan(energy))
        energy = field(board, battery, "charge_full") * field(board, battery, "voltage_now") * 1e-6;
    return energy > 0 ? energy : 1;
}

static double signed_watts(const struct board *board, const char *battery, bool *charging)
{
    char status[24];
    if (!tree_text(&board->tree, status, sizeof status, "sys/class/power_supply/%s/status", battery))
        return NAN;
    double power = watts(board, battery);
    if (str_eq(status, "Charging")) {
        *charging = true;
        return power;
    }
    if (str_eq(status, "Discharging"))
        return -power;
    return str_eq(status, "Full") || str_eq(status, "Not charging") ? 0 : NAN;
}

static void read_battery(struct board *board, int64_t now_ms, struct board_sample *out)
{
    (void)now_ms;
    double held = 0, full = 0, power = 0, hottest = NAN;
    for (size_t i = 0; i < board->battery_count; i++) {
        const char *battery = board->batteries[i];
        double percent = field(board, battery, "capacity");
        if (percent >= 0 && percent <= 100) {
            held += percent / 100 * weight(board, battery);
            full += weight(board, battery);
        }
        power += signed_watts(board, battery, &out->battery_charging);
        hottest = fmax(hottest, field(board, battery, "temp") / 10);
    }
    if (!board->battery_count)
        return;
    out->battery_share = full > 0 ? held / full : NAN;
    out->battery_w = power;
    out->battery_c = hottest;
}

const struct board_source board_battery = {.find = find, .read = read_battery};
