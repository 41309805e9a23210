/* deps: wire base */
#include "wire/sample.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes as a sample: never a crash; what is taken is written, and taken again with the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sample first, second;
    struct err err = {0};
    cleanup_buf struct buf once = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
    if (sample_parse(data, size, &first, &err) < 0)
        return 0;
    if (sample_format(&first, &once, &err) < 0) {
        if (err.code != ERR_TOO_BIG) /* the head of one in other notation may be too long */
            abort();
        return 0;
    }
    if (sample_parse(once.data, once.len, &second, &err) < 0 || sample_format(&second, &twice, &err) < 0 ||
        once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
        abort();
    return 0;
}
