/* deps: wire base */
#include "base/mem.h"
#include "wire/sigstore.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct sigstore_note note;
    cleanup_free char *text = mem_strndup((const char *)data, size);
    if (!text || sigstore_note_parse(text, &note, &err) < 0)
        return 0;
    if (note.text_len >= strlen(text) || text[note.text_len - 1] != '\n' ||
        note.count > SIGSTORE_MAX_SIGNATURES)
        abort();
    for (size_t i = 0; i < note.count; i++)
        if (note.signatures[i].sig_len == 0 || note.signatures[i].sig_len > OMS_SIG_SIZE)
            abort();
    return 0;
}
