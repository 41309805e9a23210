/* Temperatures, and whether the machine holds itself back.
 *
 * Zones of the kernel come first; sensors of hwmon add what no zone shows. A zone that cannot be read is a sensor that is switched off: absent.
 * "PMIC-Die" of Tegra boards is absent too: that sensor answers 100 °C always.
 */
#include "base/str.h"
#include "robot/board/inside.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* hwmon shows a zone "cpu-thermal" again as "cpu_thermal". */
static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
            return false;
    return *a == *b;
}

static bool is_zone(const struct board_places *zones, size_t zone_count, const char *name)
{
    for (size_t i = 0; i < zone_count; i++)
        if (same_name(zones->at[i].label, name))
            return true;
    return false;
}

static void find_zones(struct board *board)
{
    struct tree_names found;
    char type[32];
    tree_list(&board->tree, &found, "thermal_zone", "sys/class/thermal");
    for (size_t i = 0; i < found.count && board->zones.count < BOARD_MAX_ZONES; i++)
        if (tree_line(&board->tree, type, sizeof type, "sys/class/thermal/%s/type", found.names[i]) &&
            !str_starts(type, "PMIC"))
            board_place_add(&board->zones, type, 1e-3, "sys/class/thermal/%s/temp", found.names[i]);
}

static void find_sensor(struct board *board, const char *hwmon, const char *name, int n)
{
    char label[32];
    if (!tree_exists(&board->tree, "sys/class/hwmon/%s/temp%d_input", hwmon, n))
        return;
    if (!tree_line(&board->tree, label, sizeof label, "sys/class/hwmon/%s/temp%d_label", hwmon, n))
        snprintf(label, sizeof label, "temp%d", n);
    cleanup_free char *full = mem_printf("%s %s", name, label);
    board_place_add(&board->zones, full ? full : label, 1e-3, "sys/class/hwmon/%s/temp%d_input", hwmon, n);
}

static void find_sensors(struct board *board)
{
    struct tree_names found;
    char name[24];
    size_t zone_count = board->zones.count;
    tree_list(&board->tree, &found, "hwmon", "sys/class/hwmon");
    for (size_t i = 0; i < found.count; i++) {
        if (!tree_line(&board->tree, name, sizeof name, "sys/class/hwmon/%s/name", found.names[i]) ||
            is_zone(&board->zones, zone_count, name))
            continue;
        for (int n = 1; n <= 4 && board->zones.count < BOARD_MAX_ZONES; n++)
            find_sensor(board, found.names[i], name, n);
    }
}

static void find_thermal(struct board *board)
{
    board->zones.count = 0;
    find_zones(board);
    find_sensors(board);
}

static void read_thermal(struct board *board, int64_t now_ms, struct board_sample *out)
{
    (void)now_ms;
    double value;
    for (size_t i = 0; i < board->zones.count; i++) {
        const struct board_place *place = &board->zones.at[i];
        if (tree_number(&board->tree, &value, "%s", place->path) && value * place->scale > -60 &&
            value * place->scale < 200)
            board_named_add(out->zones, &out->zone_count, BOARD_MAX_ZONES, place->label,
                            value * place->scale);
    }
}

const struct board_source board_thermal = {.find = find_thermal, .read = read_thermal};

/* Cooling devices that slow something down; fans and lamps are none. */
static bool slows(const char *type)
{
    static const char *const starts[] = {"thermal-cpufreq",
                                         "thermal-devfreq",
                                         "cpufreq-",
                                         "devfreq-",
                                         "cpu-",
                                         "gpu-",
                                         "Processor",
                                         "CPU-",
                                         "GPU-"};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (str_starts(type, starts[i]))
            return true;
    return strstr(type, "throttle") || strstr(type, "balanced");
}

static void find_coolers(struct board *board)
{
    struct tree_names found;
    char type[48];
    tree_list(&board->tree, &found, "cooling_device", "sys/class/thermal");
    board->cooler_count = 0;
    for (size_t i = 0; i < found.count && board->cooler_count < BOARD_COOLERS; i++)
        if (tree_line(&board->tree, type, sizeof type, "sys/class/thermal/%s/type", found.names[i]) &&
            slows(type))
            str_copy(board->coolers[board->cooler_count++], TREE_NAME_SIZE, found.names[i]);
}

static void find_throttle(struct board *board)
{
    struct tree_names found;
    char name[32];
    find_coolers(board);
    board->has_rpi_throttle =
        tree_exists(&board->tree, "sys/devices/platform/soc/soc:firmware/get_throttled");
    board->has_x86_throttle =
        tree_exists(&board->tree, "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count");
    board->rpi_volt[0] = '\0';
    tree_list(&board->tree, &found, "hwmon", "sys/class/hwmon");
    for (size_t i = 0; i < found.count; i++)
        if (tree_line(&board->tree, name, sizeof name, "sys/class/hwmon/%s/name", found.names[i]) &&
            str_eq(name, "rpi_volt"))
            str_copy(board->rpi_volt, sizeof board->rpi_volt, found.names[i]);
}

/* 1 outweighs 0, and 0 outweighs "nobody says". */
static void note(struct board_sample *out, bool throttled)
{
    out->throttled = throttled || out->throttled == 1;
}

/* Bits 0..3: undervoltage, frequency capped, throttled, soft temperature limit: now. 16..19: since the start. */
static void read_rpi(const struct board *board, struct board_sample *out)
{
    char text[32], *end;
    if (!tree_text(&board->tree, text, sizeof text, "sys/devices/platform/soc/soc:firmware/get_throttled"))
        return;
    unsigned long bits = strtoul(text, &end, 16);
    if (end != text && *end == '\0')
        note(out, bits & 0xf);
}

static void read_throttle(struct board *board, int64_t now_ms, struct board_sample *out)
{
    double value;
    for (size_t i = 0; i < board->cooler_count; i++)
        if (tree_number(&board->tree, &value, "sys/class/thermal/%s/cur_state", board->coolers[i]))
            note(out, value > 0);
    if (board->has_rpi_throttle)
        read_rpi(board, out);
    if (board->rpi_volt[0] &&
        tree_number(&board->tree, &value, "sys/class/hwmon/%s/in0_lcrit_alarm", board->rpi_volt))
        note(out, value > 0);
    if (board->has_x86_throttle &&
        tree_number(&board->tree, &value,
                    "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count"))
        note(out, board_counter_rate(&board->x86_throttle, value, now_ms) > 0);
}

const struct board_source board_throttle = {.find = find_throttle, .read = read_throttle};
