/* deps: wire */
/* Any bytes as index.json: never a crash; what is taken is written and taken again, with the same text. */
#include "wire/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct oci_index first, second;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (oci_index_parse(data, size, &first, &err) < 0)
        return 0;
    char *text = oci_index_format(&first);
    if (!text || oci_index_parse(text, strlen(text), &second, &err) < 0)
        abort();
    char *again = oci_index_format(&second);
    if (!again || strcmp(text, again) != 0)
        abort();
    free(text);
    free(again);
    return 0;
}
