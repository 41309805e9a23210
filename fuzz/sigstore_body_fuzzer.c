/* deps: wire base */
#include "wire/sigstore.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_sigstore_body struct sigstore_body body = {0};
    if (sigstore_body_parse(data, size, &body, &err) < 0)
        return err.code == ERR_NONE ? (abort(), 0) : 0;
    if (body.sig_len == 0 || body.sig_len > sizeof body.sig || body.verifier.len == 0)
        abort();
    return 0;
}
