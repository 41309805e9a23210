#include "forge/floats.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/npy.h"

#include <string.h>

static bool ends_in(const char *path, const char *tail)
{
    size_t len = strlen(path), tail_len = strlen(tail);
    return len > tail_len && str_eq(path + len - tail_len, tail);
}

bool floats_is_name(const char *path)
{
    return ends_in(path, ".npy") || ends_in(path, ".f32");
}

int floats_find(const char *path, const uint8_t *data, size_t len, const uint8_t **out, size_t *out_count,
                struct err *err)
{
    struct npy npy = {.dtype = DTYPE_FLOAT32, .data = data, .bytes = len};
    if (ends_in(path, ".npy") && npy_find(data, len, &npy, err) < 0)
        return -1;
    if (npy.dtype != DTYPE_FLOAT32)
        return err_set(err, ERR_UNSUPPORTED, "the .npy file must hold float32: array.astype('<f4')");
    if (npy.bytes % sizeof(float) || npy.bytes == 0)
        return err_set(err, ERR_INVALID, "%zu bytes are no whole number of float32", npy.bytes);
    *out = npy.data;
    *out_count = npy.bytes / sizeof(float);
    return 0;
}
