/* deps: wire base */
#include "base/mem.h"
#include "wire/oms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever parses is written, and read back as the same text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_oms_bundle struct oms_bundle first = {0}, second = {0};
    if (oms_bundle_parse(data, size, &first, &err) < 0)
        return err.code == ERR_NONE ? (abort(), 0) : 0;
    cleanup_free char *text = oms_bundle_format(&first);
    if (!text || oms_bundle_parse(text, strlen(text), &second, &err) < 0)
        abort();
    cleanup_free char *again = oms_bundle_format(&second);
    if (!again || strcmp(text, again) != 0)
        abort();
    return 0;
}
