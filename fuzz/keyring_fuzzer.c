/* deps: trust wire sys base */
#include "base/mem.h"
#include "trust/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever parses can be written, and reads back as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct keyring ring = {0}, again = {0};
    if (keyring_parse((const char *)data, size, &ring, &err) < 0) {
        if (err.code == ERR_NONE || !err.text[0])
            abort();
        return 0;
    }
    cleanup_free char *text = keyring_format(&ring);
    if (!text || ring.count > ARRAY_LEN(ring.entries) || ring.count == 0)
        abort();
    if (keyring_parse(text, strlen(text), &again, &err) < 0 || memcmp(&ring, &again, sizeof ring) != 0)
        abort();
    return 0;
}
