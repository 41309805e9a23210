/* deps: picture base
 * Any bytes: a picture within the limits, or one clear error. */
#include "picture/picture.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Big pictures would only make the fuzzer slow: both formats state their size in the first bytes of the
 * header. */
#define MAX_INPUT_BYTES (64 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct picture picture = {0};
    struct err err = {0};

    if (len > MAX_INPUT_BYTES)
        return 0;
    if (picture_read_mem(data, len, &picture, &err) < 0) {
        assert(!picture.rgb && err.code != ERR_NONE && err.text[0]);
        return 0;
    }
    assert(picture.width >= 1 && picture.width <= PICTURE_MAX_SIDE);
    assert(picture.height >= 1 && picture.height <= PICTURE_MAX_SIDE);
    picture_fini(&picture);
    return 0;
}
