/* An observation on the disk.
 *
 *     "MUSTEROB" · u32 version · u32 tensors · per tensor, sorted by name:
 *         u16 length of the name · the name · u8 type · u8 dimensions · i64 each · u8 finite · f32 min · f32 max · f64 mean · f64 mean square ·
 *         u64 count · 2,048 × u64 bins                                                                    (all little-endian)
 */
#include "forge/calib/observe.h"

#include "base/buf.h"
#include "base/str.h"
#include "sys/file.h"

#include <math.h>
#include <string.h>

static const char magic[8] = "MUSTEROB";
enum { VERSION = 1, NAME_MAX_BYTES = 4095, TENSOR_MIN_BYTES = 2 + 1 + 3 + 32 + 8 * OBSERVE_BINS };

/* ---- writing ---- */

static int put_number(struct buf *out, uint64_t value, size_t bytes, struct err *err)
{
    uint8_t text[8];
    for (size_t i = 0; i < bytes; i++)
        text[i] = (uint8_t)(value >> 8 * i);
    return buf_put(out, text, bytes, err);
}

static int put_float(struct buf *out, float value, struct err *err)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_number(out, bits, sizeof bits, err);
}

static int put_double(struct buf *out, double value, struct err *err)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_number(out, bits, sizeof bits, err);
}

static int put_head(struct buf *out, const struct observed *tensor, struct err *err)
{
    size_t len = strlen(tensor->name);
    if (put_number(out, len, 2, err) < 0 || buf_put(out, tensor->name, len, err) < 0 ||
        put_number(out, tensor->dtype, 1, err) < 0 || put_number(out, tensor->dim_count, 1, err) < 0)
        return -1;
    for (size_t i = 0; i < tensor->dim_count; i++)
        if (put_number(out, (uint64_t)tensor->dims[i], 8, err) < 0)
            return -1;
    return 0;
}

static int put_tensor(struct buf *out, const struct observed *tensor, struct err *err)
{
    if (put_head(out, tensor, err) < 0 || put_number(out, tensor->finite, 1, err) < 0 ||
        put_float(out, tensor->min, err) < 0 || put_float(out, tensor->max, err) < 0 ||
        put_double(out, tensor->mean, err) < 0 || put_double(out, tensor->mean_square, err) < 0 ||
        put_number(out, tensor->count, 8, err) < 0)
        return -1;
    for (size_t i = 0; i < OBSERVE_BINS; i++)
        if (put_number(out, tensor->bins[i], 8, err) < 0)
            return -1;
    return 0;
}

int observation_format(const struct observation *observation, struct buf *out, struct err *err)
{
    if (buf_put(out, magic, sizeof magic, err) < 0 || put_number(out, VERSION, 4, err) < 0 ||
        put_number(out, observation->count, 4, err) < 0)
        return -1;
    for (size_t i = 0; i < observation->count; i++)
        if (put_tensor(out, &observation->tensors[i], err) < 0)
            return -1;
    return 0;
}

int observation_save(const struct observation *observation, const char *path, struct err *err)
{
    cleanup_buf struct buf out = BUF_INIT(OBSERVE_MAX_FILE_BYTES);
    if (observation_format(observation, &out, err) < 0)
        return err_prefix(err, "%s", path);
    return file_replace(path, out.data, out.len, 0644, err);
}

/* ---- reading ---- */

struct reader {
    const uint8_t *at;
    size_t left;
    bool failed; /* something was missing: zeros were read */
};

static const uint8_t *take(struct reader *in, size_t bytes)
{
    if (bytes > in->left) {
        in->failed = true;
        return NULL;
    }
    const uint8_t *found = in->at;
    in->at += bytes;
    in->left -= bytes;
    return found;
}

static uint64_t take_number(struct reader *in, size_t bytes)
{
    const uint8_t *found = take(in, bytes);
    uint64_t value = 0;
    for (size_t i = 0; found && i < bytes; i++)
        value |= (uint64_t)found[i] << 8 * i;
    return value;
}

static float take_float(struct reader *in)
{
    uint32_t bits = (uint32_t)take_number(in, sizeof bits);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double take_double(struct reader *in)
{
    uint64_t bits = take_number(in, sizeof bits);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int bad(struct err *err)
{
    return err_set(err, ERR_INVALID, "this is no observation of this version, or it is damaged");
}

static int take_name(struct reader *in, struct observed *out, struct err *err)
{
    size_t len = (size_t)take_number(in, 2);
    const uint8_t *name = take(in, len);
    if (!name || len == 0 || len > NAME_MAX_BYTES || memchr(name, 0, len))
        return bad(err);
    out->name = mem_strndup((const char *)name, len);
    return out->name ? 0 : err_no_memory(err);
}

static int take_shape(struct reader *in, struct observed *out, struct err *err)
{
    out->dtype = (enum tensor_dtype)take_number(in, 1);
    out->dim_count = (size_t)take_number(in, 1);
    if (out->dtype != DTYPE_FLOAT32 || out->dim_count > RELEASE_MAX_DIMS)
        return bad(err);
    for (size_t i = 0; i < out->dim_count; i++) {
        out->dims[i] = (int64_t)take_number(in, 8);
        if (out->dims[i] < 0)
            return bad(err);
    }
    return 0;
}

/* Whoever computes with an observation may rely on these. */
static bool holds(const struct observed *tensor)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < OBSERVE_BINS; i++)
        if (__builtin_add_overflow(sum, tensor->bins[i], &sum))
            return false;
    return sum == tensor->count && isfinite(tensor->min) && isfinite(tensor->max) &&
           tensor->min <= tensor->max && isfinite(tensor->mean) && isfinite(tensor->mean_square) &&
           tensor->mean_square >= 0;
}

static int take_numbers(struct reader *in, struct observed *out, struct err *err)
{
    uint64_t finite = take_number(in, 1);
    out->finite = finite == 1;
    out->min = take_float(in);
    out->max = take_float(in);
    out->mean = take_double(in);
    out->mean_square = take_double(in);
    out->count = take_number(in, 8);
    for (size_t i = 0; i < OBSERVE_BINS; i++)
        out->bins[i] = take_number(in, 8);
    return in->failed || finite > 1 || !holds(out) ? bad(err) : 0;
}

static int take_tensors(struct reader *in, size_t count, struct observation *out, struct err *err)
{
    while (out->count < count) {
        struct observed *tensor = &out->tensors[out->count];
        if (take_name(in, tensor, err) < 0)
            return -1;
        out->count++;
        if (take_shape(in, tensor, err) < 0 || take_numbers(in, tensor, err) < 0)
            return -1;
        if (out->count > 1 && strcmp(tensor[-1].name, tensor->name) >= 0)
            return bad(err);
    }
    return in->left || in->failed ? bad(err) : 0;
}

int observation_parse(const uint8_t *data, size_t len, struct observation *out, struct err *err)
{
    struct reader in = {.at = data, .left = len};
    const uint8_t *begin = take(&in, sizeof magic);
    uint64_t version = take_number(&in, 4), count = take_number(&in, 4);
    if (!begin || memcmp(begin, magic, sizeof magic) != 0 || version != VERSION ||
        count > in.left / TENSOR_MIN_BYTES)
        return bad(err);
    cleanup_observation struct observation made = {.tensors = mem_zalloc(count + 1, sizeof *made.tensors)};
    if (!made.tensors)
        return err_no_memory(err);
    if (take_tensors(&in, count, &made, err) < 0)
        return -1;
    *out = made;
    made = (struct observation){0};
    return 0;
}

int observation_load(const char *path, struct observation *out, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    if (file_map(path, &map, err) < 0)
        return -1;
    if (map.size > OBSERVE_MAX_FILE_BYTES)
        return err_set(err, ERR_TOO_BIG, "%s: larger than %d MiB", path, OBSERVE_MAX_FILE_BYTES >> 20);
    if (observation_parse(map.data, map.size, out, err) < 0)
        return err_prefix(err, "%s", path);
    return 0;
}
