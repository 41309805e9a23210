/* deps: trust wire sys base */
#include "base/mem.h"
#include "trust/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever parses reads back as the same, and never holds against a ring whose keys nobody has. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct signature_envelope envelope = {0}, again = {0};
    if (signature_parse((const char *)data, size, &envelope, &err) < 0) {
        if (err.code == ERR_NONE || !err.text[0])
            abort();
        return 0;
    }
    cleanup_free char *text = signature_format(&envelope);
    if (!text || signature_parse(text, strlen(text), &again, &err) < 0 ||
        memcmp(&envelope, &again, sizeof envelope) != 0)
        abort();
    struct keyring ring = {.threshold = 1, .count = 1};
    memset(ring.entries[0].key.id, 'a', KEY_ID_SIZE - 1);
    if (signature_verify(&envelope, &envelope.digest, envelope.size, &ring, &err) == 0 ||
        err.code != ERR_UNTRUSTED)
        abort();
    return 0;
}
