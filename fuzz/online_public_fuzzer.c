/* deps: trust/repo trust/tuf wire/tuf trust wire sys base */
#include "base/mem.h"
#include "base/str.h"
#include "trust/repo/online.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever parses has four different keys, can be written, and reads back as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_online_public struct online_public keys = {0}, again = {0};
    if (online_public_parse(data, size, &keys, &err) < 0) {
        if (err.code == ERR_NONE || !err.text[0])
            abort();
        return 0;
    }
    cleanup_free char *text = online_public_format(&keys);
    if (!text || online_public_parse(text, strlen(text), &again, &err) < 0)
        abort();
    for (int i = 0; i < ONLINE_ROLES; i++) {
        if (!str_eq(keys.keys[i].id, again.keys[i].id))
            abort();
        for (int j = 0; j < i; j++)
            if (str_eq(keys.keys[i].id, keys.keys[j].id))
                abort();
    }
    return 0;
}
