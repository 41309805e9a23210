/* Power by rail, from the current monitors on the board.
 *
 *     ina3221, hwmon (L4T 35 on)     in{1,2,3}_label, in{1,2,3}_input mV × curr{1,2,3}_input mA; label "NC": not connected
 *     ina3221x, iio (L4T 32)         rail_name_{0,1,2}, in_power{0,1,2}_input mW
 *     any other hwmon                power{1..4}_{input,average} µW, with its label or the chip's name
 *
 * The whole board: the rail that feeds all others where there is one, else the sum of the Tegra's rails; else unknown.
 */
#include "base/str.h"
#include "robot/board/inside.h"

#include <math.h>
#include <string.h>

static void find_ina3221(struct board *board, const char *hwmon)
{
    char label[32];
    for (int n = 1; n <= 3 && board->rails.count < BOARD_MAX_RAILS; n++) {
        if (!tree_line(&board->tree, label, sizeof label, "sys/class/hwmon/%s/in%d_label", hwmon, n) ||
            str_eq(label, "NC") || !tree_exists(&board->tree, "sys/class/hwmon/%s/curr%d_input", hwmon, n))
            continue;
        if (board_place_add(&board->rails, label, 1e-6, "sys/class/hwmon/%s/in%d_input", hwmon, n)) {
            struct board_place *place = &board->rails.at[board->rails.count - 1];
            snprintf(place->path_2, sizeof place->path_2, "sys/class/hwmon/%s/curr%d_input", hwmon, n);
        }
    }
}

static void find_power(struct board *board, const char *hwmon, const char *name)
{
    char label[32];
    for (int n = 1; n <= 4 && board->rails.count < BOARD_MAX_RAILS; n++) {
        bool input = tree_exists(&board->tree, "sys/class/hwmon/%s/power%d_input", hwmon, n);
        if (!input && !tree_exists(&board->tree, "sys/class/hwmon/%s/power%d_average", hwmon, n))
            continue;
        if (!tree_line(&board->tree, label, sizeof label, "sys/class/hwmon/%s/power%d_label", hwmon, n))
            str_copy(label, sizeof label, name);
        board_place_add(&board->rails, label, 1e-6, "sys/class/hwmon/%s/power%d_%s", hwmon, n,
                        input ? "input" : "average");
    }
}

static void find_iio(struct board *board)
{
    struct tree_names found;
    char name[32];
    tree_list(&board->tree, &found, "iio:device", "sys/bus/iio/devices");
    for (size_t i = 0; i < found.count; i++)
        for (int n = 0; n < 3 && board->rails.count < BOARD_MAX_RAILS; n++)
            if (tree_line(&board->tree, name, sizeof name, "sys/bus/iio/devices/%s/rail_name_%d",
                          found.names[i], n) &&
                !str_eq(name, "NC"))
                board_place_add(&board->rails, name, 1e-3, "sys/bus/iio/devices/%s/in_power%d_input",
                                found.names[i], n);
}

static void find(struct board *board)
{
    struct tree_names found;
    char name[32];
    board->rails.count = 0;
    tree_list(&board->tree, &found, "hwmon", "sys/class/hwmon");
    for (size_t i = 0; i < found.count; i++) {
        if (!tree_line(&board->tree, name, sizeof name, "sys/class/hwmon/%s/name", found.names[i]))
            continue;
        if (str_eq(name, "ina3221"))
            find_ina3221(board, found.names[i]);
        else
            find_power(board, found.names[i], name);
    }
    find_iio(board);
}

static bool feeds_all(const char *label)
{
    static const char *const names[] = {"VDD_IN", "POM_5V_IN", "VIN", "ina238"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(label, names[i]))
            return true;
    return false;
}

static double rail_watts(const struct board *board, const struct board_place *place)
{
    double value, current = 1;
    if (!tree_number(&board->tree, &value, "%s", place->path))
        return NAN;
    if (place->path_2[0] && !tree_number(&board->tree, &current, "%s", place->path_2))
        return NAN;
    return value * current * place->scale;
}

static void read_power(struct board *board, int64_t now_ms, struct board_sample *out)
{
    (void)now_ms;
    double sum = 0, whole = NAN;
    bool summable = false;
    for (size_t i = 0; i < board->rails.count; i++) {
        const struct board_place *place = &board->rails.at[i];
        double watts = rail_watts(board, place);
        if (!board_named_add(out->rails, &out->rail_count, BOARD_MAX_RAILS, place->label, watts))
            continue;
        if (feeds_all(place->label))
            whole = watts;
        if (place->path_2[0] || strstr(place->path, "/iio/")) {
            summable = true;
            sum += watts;
        }
    }
    out->power_w = isfinite(whole) ? whole : summable ? sum : NAN;
}

const struct board_source board_power = {.find = find, .read = read_power};
