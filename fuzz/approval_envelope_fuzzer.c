/* deps: trust wire sys base */
#include "base/mem.h"
#include "trust/approval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever parses reads back as the same, and never stands against a keyring whose keys nobody has. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_envelope struct envelope first = {0}, second = {0};
    struct approval approval;
    if (approval_envelope_parse(data, size, &first, &err) < 0)
        return 0;
    cleanup_free char *text = approval_envelope_format(&first);
    if (!text || approval_envelope_parse(text, strlen(text), &second, &err) < 0 || first.len != second.len ||
        memcmp(first.bytes, second.bytes, first.len) != 0 || first.count != second.count ||
        memcmp(first.items, second.items, sizeof first.items) != 0)
        abort();
    struct keyring ring = {.count = 1};
    memset(ring.entries[0].key.id, 'a', KEY_ID_SIZE - 1);
    memcpy(ring.entries[0].name, "alice", 6);
    if (approval_open(&first, &ring, &approval, &err) == 0)
        abort();
    return 0;
}
