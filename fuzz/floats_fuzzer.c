/* deps: forge */
/* A .npy file: what is found lies inside of it. */
#include "forge/floats.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *found = NULL;
    size_t count = 0;
    struct err err = {0};
    if (floats_find("a.npy", data, size, &found, &count, &err) == 0)
        assert(found >= data && found + 4 * count == data + size && count > 0);
    return 0;
}
