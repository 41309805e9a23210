#include "robot/watch/machine.h"

#include "base/mem.h"
#include "base/str.h"
#include "robot/watch/window.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Names as OpenTelemetry's system metrics where there are such. */
static const struct number {
    const char *name, *unit;
    size_t offset;
} numbers[] = {
    {"muster.system.cpu.utilization", "1", offsetof(struct board_sample, cpu_share)},
    {"muster.system.cpu.load_1m", "{thread}", offsetof(struct board_sample, load1)},
    {"muster.system.cpu.frequency", "Hz", offsetof(struct board_sample, cpu_hz)},
    {"muster.system.pressure.cpu", "1", offsetof(struct board_sample, pressure_cpu)},
    {"muster.system.pressure.memory", "1", offsetof(struct board_sample, pressure_memory)},
    {"muster.system.pressure.io", "1", offsetof(struct board_sample, pressure_io)},
    {"muster.system.memory.limit", "By", offsetof(struct board_sample, memory_total_bytes)},
    {"muster.system.memory.available", "By", offsetof(struct board_sample, memory_available_bytes)},
    {"muster.system.swap.usage", "By", offsetof(struct board_sample, swap_used_bytes)},
    {"muster.group.memory.usage", "By", offsetof(struct board_sample, group_memory_bytes)},
    {"muster.group.oom_kills", "{kill}", offsetof(struct board_sample, group_oom_kills)},
    {"muster.gpu.utilization", "1", offsetof(struct board_sample, gpu_share)},
    {"muster.gpu.frequency", "Hz", offsetof(struct board_sample, gpu_hz)},
    {"muster.gpu.memory.usage", "By", offsetof(struct board_sample, gpu_memory_bytes)},
    {"muster.system.emc.utilization", "1", offsetof(struct board_sample, emc_share)},
    {"muster.system.throttled", "1", offsetof(struct board_sample, throttled)},
    {"muster.system.power", "W", offsetof(struct board_sample, power_w)},
    {"muster.battery.charge", "1", offsetof(struct board_sample, battery_share)},
    {"muster.battery.power", "W", offsetof(struct board_sample, battery_w)},
    {"muster.battery.temperature", "Cel", offsetof(struct board_sample, battery_c)},
    {"muster.system.filesystem.limit", "By", offsetof(struct board_sample, disk_total_bytes)},
    {"muster.system.filesystem.free", "By", offsetof(struct board_sample, disk_free_bytes)},
    {"muster.link.up", "1", offsetof(struct board_sample, link_up)},
    {"muster.link.receive", "bit/s", offsetof(struct board_sample, link_rx_bps)},
    {"muster.link.transmit", "bit/s", offsetof(struct board_sample, link_tx_bps)},
    {"muster.link.signal", "dBm", offsetof(struct board_sample, link_signal_dbm)},
};
_Static_assert(ARRAY_LEN(numbers) <= MACHINE_NUMBERS, "all have a place");

static const struct named {
    const char *name, *unit, *attribute;
    size_t items, count, most;
} kinds[] = {
    {"muster.system.temperature", "Cel", "muster.zone", offsetof(struct board_sample, zones),
     offsetof(struct board_sample, zone_count), BOARD_MAX_ZONES},
    {"muster.system.rail.power", "W", "muster.rail", offsetof(struct board_sample, rails),
     offsetof(struct board_sample, rail_count), BOARD_MAX_RAILS},
    {"muster.system.engine.frequency", "Hz", "muster.engine", offsetof(struct board_sample, engines),
     offsetof(struct board_sample, engine_count), BOARD_MAX_ENGINES},
};

void machine_begin(struct machine *machine)
{
    memset(machine, 0, sizeof *machine);
}

static void add(struct machine_mean *mean, double value)
{
    if (!isfinite(value))
        return;
    mean->sum += value;
    mean->count++;
}

static double number_of(const struct board_sample *sample, size_t offset)
{
    double value;
    memcpy(&value, (const char *)sample + offset, sizeof value);
    return value;
}

static const struct board_named *items_of(const struct board_sample *sample, const struct named *kind,
                                          size_t *out_count)
{
    memcpy(out_count, (const char *)sample + kind->count, sizeof *out_count);
    *out_count = MIN(*out_count, kind->most);
    return (const void *)((const char *)sample + kind->items);
}

/* Zones of a board keep their order while it runs. */
void machine_add(struct machine *machine, const struct board_sample *sample)
{
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        add(&machine->numbers[i], number_of(sample, numbers[i].offset));
    for (size_t k = 0; k < ARRAY_LEN(kinds); at += kinds[k].most, k++) {
        size_t count;
        const struct board_named *items = items_of(sample, &kinds[k], &count);
        for (size_t i = 0; i < count; i++)
            add(&machine->named[at + i], items[i].value);
    }
    add(&machine->hottest, board_hottest(sample));
    machine->last = *sample;
}

static void put(struct otlp_points *out, const struct machine_mean *mean, const char *name, const char *unit,
                int64_t start_ms, int64_t end_ms, const char *attribute, const char *word)
{
    struct otlp_point *point = mean->count ? points_next(out, name, unit, start_ms, end_ms) : NULL;
    if (!point)
        return;
    point->value = mean->sum / mean->count;
    str_copy(point->attribute, sizeof point->attribute, attribute);
    str_copy(point->word, sizeof point->word, word);
}

void machine_points(const struct machine *machine, int64_t start_ms, int64_t end_ms, struct otlp_points *out)
{
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        put(out, &machine->numbers[i], numbers[i].name, numbers[i].unit, start_ms, end_ms, "", "");
    put(out, &machine->hottest, "muster.system.temperature.max", "Cel", start_ms, end_ms, "", "");
    for (size_t k = 0; k < ARRAY_LEN(kinds); at += kinds[k].most, k++) {
        size_t count;
        const struct board_named *items = items_of(&machine->last, &kinds[k], &count);
        for (size_t i = 0; i < count; i++)
            if (items[i].name[0])
                put(out, &machine->named[at + i], kinds[k].name, kinds[k].unit, start_ms, end_ms,
                    kinds[k].attribute, items[i].name);
    }
}
