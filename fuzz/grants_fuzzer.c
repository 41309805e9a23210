/* deps: wire base */
#include "base/mem.h"
#include "wire/grant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_grants struct grants first = {0}, second = {0};
    if (grants_parse(data, size, &first, &err) < 0)
        return err.code == ERR_NONE ? (abort(), 0) : 0;
    cleanup_free char *text = grants_format(&first);
    if (!text || grants_parse(text, strlen(text), &second, &err) < 0)
        abort();
    cleanup_free char *again = grants_format(&second);
    if (!again || strcmp(text, again) != 0)
        abort();
    return 0;
}
