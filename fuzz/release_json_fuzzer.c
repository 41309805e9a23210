/* deps: wire */
/* Any bytes as release.json: never a crash; what is taken is written and taken again, with the same text. */
#include "wire/release.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct release first, second;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (release_parse(data, size, &first, &err) < 0)
        return 0;
    char *text = release_format(&first);
    if (!text || release_parse(text, strlen(text), &second, &err) < 0)
        abort();
    char *again = release_format(&second);
    if (!again || strcmp(text, again) != 0)
        abort();
    free(text);
    free(again);
    return 0;
}
