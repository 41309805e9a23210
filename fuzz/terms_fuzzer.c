/* deps: wire base */
#include "base/mem.h"
#include "wire/terms.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any text as the terms of a release: never a crash; what is taken is written, and taken again with the same text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct terms first, second;
    cleanup_free char *custom = mem_strndup((const char *)data, size);
    if (!custom || terms_parse(custom, &first, &err) < 0)
        return 0;
    cleanup_free char *text = terms_format(&first);
    if (!text || terms_parse(text, &second, &err) < 0)
        abort();
    cleanup_free char *again = terms_format(&second);
    if (!again || strcmp(text, again) != 0 || first.threshold < 0 ||
        (size_t)first.threshold > first.operator_count)
        abort();
    return 0;
}
