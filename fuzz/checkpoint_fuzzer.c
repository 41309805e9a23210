/* deps: trust/merkle trust sys wire base */
#include "base/mem.h"
#include "base/str.h"
#include "trust/merkle/checkpoint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever parses says the same when it is signed anew; whatever is opened was parsed as the same. And keys as text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct signing_key *key;
    struct err err = {0};
    struct public_key public;
    struct checkpoint checkpoint, again;
    cleanup_free char *text = NULL, *line = mem_strndup((const char *)data, size);
    char origin[CHECKPOINT_ORIGIN_SIZE], formatted[CHECKPOINT_KEY_SIZE];
    if (!key && signing_key_generate(&key, &err) < 0)
        abort();
    if (line && checkpoint_key_parse(line, origin, &public, &err) == 0) {
        checkpoint_key_format(origin, &public, formatted);
        if (!str_eq(formatted, line))
            abort();
    }
    signing_key_public(key, &public);
    err = (struct err){0};
    if (checkpoint_parse(data, size, &checkpoint, &err) < 0) {
        if (err.code == ERR_NONE || !err.text[0])
            abort();
        return 0;
    }
    if (checkpoint_open(data, size, &public, 1, &again, &err) == 0)
        abort(); /* nobody signs with this key */
    if (checkpoint_sign(&checkpoint, key, &text, &err) < 0 ||
        checkpoint_open(text, strlen(text), &public, 1, &again, &err) < 0 || again.size != checkpoint.size ||
        !digest_equal(&again.root, &checkpoint.root) || !str_eq(again.origin, checkpoint.origin))
        abort();
    return 0;
}
