#include "fleet/series/prom.h"
#include "base/str.h"

#include <string.h>

/* Base units, as Prometheus wants them. */
static const struct {
    const char *unit, *word;
    double scale;
} units[] = {
    {"s", "seconds", 1},
    {"ms", "seconds", 1e-3},
    {"By", "bytes", 1},
    {"Hz", "hertz", 1},
    {"W", "watts", 1},
    {"J", "joules", 1},
    {"Cel", "celsius", 1},
    {"V", "volts", 1},
    {"A", "amperes", 1},
    {"%", "ratio", 1e-2},
    {"dBm", "dbm", 1},
    {"bit/s", "bytes_per_second", 0.125},
    {"By/s", "bytes_per_second", 1},
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void put_words(char *out, size_t size, const char *text)
{
    size_t len = strlen(out);
    for (; *text && len + 1 < size; text++)
        out[len++] = is_word(*text) ? *text : '_';
    out[len] = '\0';
}

static void put_suffix(char *out, size_t size, const char *word)
{
    size_t have = strlen(out), len = strlen(word);
    if (have > len && str_ends(out, word) && out[have - len - 1] == '_')
        return; /* it says so already */
    put_words(out, size, "_");
    put_words(out, size, word);
}

static const char *without_prefix(const char *name)
{
    return str_starts(name, "muster.") ? name + strlen("muster.") : name;
}

void prom_name(const struct series *series, char out[PROM_NAME_SIZE])
{
    str_copy(out, PROM_NAME_SIZE, "muster_robot_");
    put_words(out, PROM_NAME_SIZE, without_prefix(series->name));
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(units[i].unit, series->unit))
            put_suffix(out, PROM_NAME_SIZE, units[i].word);
    if (series->kind == OTLP_DELTA_SUM)
        put_suffix(out, PROM_NAME_SIZE, "total");
    else if (str_eq(series->unit, "1") && str_ends(series->name, "utilization"))
        put_suffix(out, PROM_NAME_SIZE, "ratio");
}

void prom_label(const char *attribute, char out[PROM_LABEL_SIZE])
{
    static const char *const taken[] = {"robot", "release", "le", "quantile", "job", "instance"};
    const char *name = without_prefix(attribute);
    bool clash = !*name || (*name >= '0' && *name <= '9') || str_starts(name, "_");
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        clash |= str_eq(name, taken[i]);
    str_copy(out, PROM_LABEL_SIZE, clash ? "attribute_" : "");
    put_words(out, PROM_LABEL_SIZE, name);
}

double prom_value(const struct series *series, double value)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(units[i].unit, series->unit))
            return value * units[i].scale;
    return value;
}

double prom_newest(const struct series *series)
{
    return prom_value(series, series->kind == OTLP_GAUGE ? series->last : series->total);
}
