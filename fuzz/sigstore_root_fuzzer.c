/* deps: wire base */
#include "wire/sigstore.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_sigstore_root struct sigstore_root root = {0};
    if (sigstore_root_parse(data, size, &root, &err) < 0)
        return err.code == ERR_NONE ? (abort(), 0) : 0;
    for (size_t i = 0; i < root.authority_count; i++)
        if (root.authorities[i].count == 0)
            abort();
    for (size_t i = 0; i < root.logs.count; i++)
        if (root.logs.items[i].key.len == 0)
            abort();
    return 0;
}
