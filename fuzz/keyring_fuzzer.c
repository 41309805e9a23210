/* deps: trust wire sys base */
#include "base/mem.h"
#include "trust/keyring.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever parses can be written, and reads back as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct keyring ring = {0}, again = {0};
    if (keyring_parse((const char *)data, size, &ring, &err) < 0) {
        assert(err.code != ERR_NONE && err.text[0]);
        return 0;
    }
    cleanup_free char *text = keyring_format(&ring);
    assert(text && ring.count <= ARRAY_LEN(ring.entries) && ring.threshold >= 1);
    int rc = keyring_parse(text, strlen(text), &again, &err);
    assert(rc == 0 && memcmp(&ring, &again, sizeof ring) == 0);
    (void)rc;
    return 0;
}
