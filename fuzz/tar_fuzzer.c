/* deps: wire base */
#include "wire/tar.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written, and is read as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tar_entry entry, again;
    uint8_t block[TAR_BLOCK];
    struct err err = {0};
    if (size < TAR_BLOCK || tar_parse(data, &entry, &err) != 1)
        return 0;
    if (tar_format(&entry, block, &err) < 0)
        return 0;
    assert(tar_parse(block, &again, &err) == 1);
    assert(strcmp(entry.name, again.name) == 0 && entry.size == again.size);
    assert(entry.directory == again.directory && entry.executable == again.executable);
    return 0;
}
