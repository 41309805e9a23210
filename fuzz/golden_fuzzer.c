/* deps: wire */
/* Any bytes as golden.bin: never a read outside of them; what is taken is written back the same. */
#include "wire/golden.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct golden golden;
    if (golden_parse(data, size, &golden, &err) < 0)
        return 0;
    struct buf out = BUF_INIT(1 << 30);
    if (golden_write(&golden, &out, &err) < 0 || out.len != size || memcmp(out.data, data, size) != 0)
        abort();
    buf_fini(&out);
    return 0;
}
