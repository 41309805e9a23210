#include "forge/floats.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

static const char npy_magic[6] = "\x93NUMPY";
enum { MAX_HEAD = 4096 };

static bool ends_in(const char *path, const char *tail)
{
    size_t len = strlen(path), tail_len = strlen(tail);
    return len > tail_len && str_eq(path + len - tail_len, tail);
}

bool floats_is_name(const char *path)
{
    return ends_in(path, ".npy") || ends_in(path, ".f32");
}

/* Where the head begins and how long it is. */
static int find_head(const uint8_t *data, size_t len, size_t *out_start, size_t *out_len, struct err *err)
{
    if (len < 12 || memcmp(data, npy_magic, sizeof npy_magic) != 0 || data[6] < 1 || data[6] > 3)
        return err_set(err, ERR_INVALID, "this is no .npy file");
    bool first = data[6] == 1;
    *out_start = first ? 10 : 12;
    *out_len = (size_t)data[8] | (size_t)data[9] << 8;
    if (!first)
        *out_len |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (*out_len > MAX_HEAD || *out_len > len - *out_start)
        return err_set(err, ERR_INVALID, "the head of the .npy file is longer than the file or %d bytes",
                       MAX_HEAD);
    return 0;
}

static int skip_npy_head(const uint8_t *data, size_t len, size_t *out_skip, struct err *err)
{
    size_t start = 0, head_len = 0;
    if (find_head(data, len, &start, &head_len, err) < 0)
        return -1;
    char head[MAX_HEAD + 1];
    memcpy(head, data + start, head_len);
    head[head_len] = '\0';
    if (!strstr(head, "'descr': '<f4'") || !strstr(head, "'fortran_order': False"))
        return err_set(err, ERR_UNSUPPORTED,
                       "the .npy file must hold float32 in C order: array.astype('<f4', order='C')");
    *out_skip = start + head_len;
    return 0;
}

int floats_find(const char *path, const uint8_t *data, size_t len, const uint8_t **out, size_t *out_count,
                struct err *err)
{
    size_t skip = 0;
    if (ends_in(path, ".npy") && skip_npy_head(data, len, &skip, err) < 0)
        return -1;
    if ((len - skip) % sizeof(float) || len == skip)
        return err_set(err, ERR_INVALID, "%zu bytes are no whole number of float32", len - skip);
    *out = data + skip;
    *out_count = (len - skip) / sizeof(float);
    return 0;
}
