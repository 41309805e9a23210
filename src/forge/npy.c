#include "forge/npy.h"

#include "base/mem.h"
#include "base/str.h"

#include <ctype.h>
#include <string.h>

static const char magic[6] = "\x93NUMPY";
enum { MAX_HEAD = 4096 };

static const struct {
    char descr[4];
    enum tensor_dtype dtype;
} kinds[] = {
    {"<f4", DTYPE_FLOAT32}, {"<f8", DTYPE_FLOAT64}, {"<f2", DTYPE_FLOAT16}, {"|u1", DTYPE_UINT8},
    {"<u2", DTYPE_UINT16},  {"<u4", DTYPE_UINT32},  {"<u8", DTYPE_UINT64},  {"|i1", DTYPE_INT8},
    {"<i2", DTYPE_INT16},   {"<i4", DTYPE_INT32},   {"<i8", DTYPE_INT64},   {"|b1", DTYPE_BOOL},
};

const char *npy_descr(enum tensor_dtype dtype)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].dtype == dtype)
            return kinds[i].descr;
    return NULL;
}

/* Where the head begins and how long it is. */
static int find_head(const uint8_t *data, size_t len, size_t *out_start, size_t *out_len, struct err *err)
{
    if (len < 12 || memcmp(data, magic, sizeof magic) != 0 || data[6] < 1 || data[6] > 3)
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

/* What follows "'key':" in the head, without blanks; NULL: nothing. */
static const char *value_of(const char *head, const char *key)
{
    const char *at = strstr(head, key);
    if (!at)
        return NULL;
    at += strlen(key);
    while (*at == ' ')
        at++;
    return at;
}

static int read_type(const char *head, struct npy *out, struct err *err)
{
    const char *descr = value_of(head, "'descr':"), *order = value_of(head, "'fortran_order':");
    for (size_t i = 0; descr && *descr == '\'' && i < ARRAY_LEN(kinds); i++)
        if (str_starts(descr + 1, kinds[i].descr) && descr[1 + strlen(kinds[i].descr)] == '\'')
            out->dtype = kinds[i].dtype;
    if (out->dtype == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "the .npy file must hold plain little-endian numbers: array.astype('<f4')");
    if (!order || !str_starts(order, "False"))
        return err_set(err, ERR_UNSUPPORTED,
                       "the .npy file must be in C order: numpy.ascontiguousarray(array)");
    return 0;
}

/* Digits of one dimension; *at goes behind them. */
static bool read_dim(const char **at, int64_t *out)
{
    int64_t value = 0;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); ++*at)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, **at - '0', &value))
            return false;
    *out = value;
    return true;
}

static int read_shape(const char *head, struct npy *out, struct err *err)
{
    const char *at = value_of(head, "'shape':");
    if (!at || *at++ != '(')
        return err_set(err, ERR_INVALID, "the .npy file has no shape");
    while (*at != ')') {
        if (out->dim_count == RELEASE_MAX_DIMS)
            return err_set(err, ERR_UNSUPPORTED, "the .npy file has more than %d dimensions",
                           RELEASE_MAX_DIMS);
        if (!read_dim(&at, &out->dims[out->dim_count++]))
            return err_set(err, ERR_INVALID, "the .npy file's shape is damaged");
        while (*at == ',' || *at == ' ')
            at++;
    }
    return 0;
}

static int check_size(struct npy *out, size_t rest, struct err *err)
{
    size_t bytes = tensor_element_bytes(out->dtype);
    for (size_t i = 0; i < out->dim_count; i++)
        if (__builtin_mul_overflow(bytes, (size_t)out->dims[i], &bytes))
            return err_set(err, ERR_INVALID, "the .npy file's shape passes all memory");
    if (bytes != rest)
        return err_set(err, ERR_INVALID, "the .npy file holds %zu bytes, its shape wants %zu", rest, bytes);
    out->bytes = bytes;
    return 0;
}

int npy_find(const uint8_t *data, size_t len, struct npy *out, struct err *err)
{
    size_t start = 0, head_len = 0;
    if (find_head(data, len, &start, &head_len, err) < 0)
        return -1;
    char head[MAX_HEAD + 1];
    memcpy(head, data + start, head_len);
    head[head_len] = '\0';
    struct npy found = {.data = data + start + head_len};
    if (read_type(head, &found, err) < 0 || read_shape(head, &found, err) < 0 ||
        check_size(&found, len - start - head_len, err) < 0)
        return -1;
    *out = found;
    return 0;
}
