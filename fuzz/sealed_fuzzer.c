/* deps: trust/seal wire sys base */
#include "trust/seal/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing opens with a key that nobody has; a head that parses is written as it was. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct sealed_head head;
    struct seal_plain plain;
    const struct seal_key key = {{1, 2, 3}};
    uint8_t again[SEALED_HEAD_BYTES];
    if (sealed_parse(data, size, size, &head, &err) == 0) {
        sealed_format(&head, again);
        if (memcmp(again, data, sizeof again) != 0)
            abort();
    }
    if (seal_open(data, size, &key, &plain, &err) == 0)
        abort();
    return 0;
}
