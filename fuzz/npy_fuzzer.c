/* deps: forge */
/* A .npy file of any type: the numbers lie inside of it, to its end, and are as many as the shape says. */
#include "forge/npy.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct npy npy;
    struct err err = {0};
    if (npy_find(data, size, &npy, &err) < 0) {
        assert(err.code == ERR_INVALID || err.code == ERR_UNSUPPORTED);
        return 0;
    }
    size_t bytes = tensor_element_bytes(npy.dtype);
    assert(npy.dim_count <= RELEASE_MAX_DIMS);
    for (size_t i = 0; i < npy.dim_count; i++)
        bytes *= (size_t)npy.dims[i];
    assert(bytes == npy.bytes && npy.data >= data && npy.data + npy.bytes == data + size);
    return 0;
}
