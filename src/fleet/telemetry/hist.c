#include "fleet/telemetry/hist.h"

#include <endian.h>
#include <string.h>

static void put_u32(uint8_t *out, uint32_t value)
{
    uint32_t le = htole32(value);
    memcpy(out, &le, sizeof le);
}

static void put_u64(uint8_t *out, uint64_t value)
{
    uint64_t le = htole64(value);
    memcpy(out, &le, sizeof le);
}

static void put_f64(uint8_t *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_u64(out, bits);
}

static uint32_t get_u32(const uint8_t *data)
{
    uint32_t le;
    memcpy(&le, data, sizeof le);
    return le32toh(le);
}

static uint64_t get_u64(const uint8_t *data)
{
    uint64_t le;
    memcpy(&le, data, sizeof le);
    return le64toh(le);
}

static double get_f64(const uint8_t *data)
{
    uint64_t bits = get_u64(data);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

size_t hist_encode(const struct exphist *hist, uint8_t out[HIST_MAX_BYTES])
{
    put_u32(out, (uint32_t)hist->scale);
    put_u32(out + 4, (uint32_t)hist->offset);
    put_u32(out + 8, hist->used);
    put_u32(out + 12, hist->sum_rest != 0);
    put_u64(out + 16, hist->count);
    put_u64(out + 24, hist->zero_count);
    put_f64(out + 32, hist->sum);
    put_f64(out + 40, hist->min);
    put_f64(out + 48, hist->max);
    for (uint32_t i = 0; i < hist->used; i++)
        put_u64(out + HIST_HEAD_BYTES + 8 * (size_t)i, hist->counts[i]);
    size_t len = HIST_HEAD_BYTES + 8 * (size_t)hist->used;
    if (hist->sum_rest == 0)
        return len;
    put_f64(out + len, hist->sum_rest);
    return len + 8;
}

int hist_decode(const uint8_t *data, size_t len, struct exphist *out, struct err *err)
{
    if (len < HIST_HEAD_BYTES || len > HIST_MAX_BYTES)
        return err_set(err, ERR_CORRUPT, "stored histogram has %zu bytes", len);
    *out = (struct exphist){
        .scale = (int32_t)get_u32(data),
        .offset = (int32_t)get_u32(data + 4),
        .used = get_u32(data + 8),
        .count = get_u64(data + 16),
        .zero_count = get_u64(data + 24),
        .sum = get_f64(data + 32),
        .min = get_f64(data + 40),
        .max = get_f64(data + 48),
    };
    uint32_t rest = get_u32(data + 12);
    if (rest > 1)
        return err_set(err, ERR_CORRUPT, "stored histogram has a reserved field in use");
    if (out->used > EXPHIST_BUCKETS || len != HIST_HEAD_BYTES + 8 * ((size_t)out->used + rest))
        return err_set(err, ERR_CORRUPT, "stored histogram of %u buckets has %zu bytes", out->used, len);
    for (uint32_t i = 0; i < out->used; i++)
        out->counts[i] = get_u64(data + HIST_HEAD_BYTES + 8 * (size_t)i);
    if (rest)
        out->sum_rest = get_f64(data + len - 8);
    if (!exphist_valid(out))
        return err_set(err, ERR_CORRUPT, "stored histogram does not add up");
    return 0;
}
