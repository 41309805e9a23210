#include "base/digest.h"
#include "base/hex.h"

static const char prefix[] = "sha256:";
enum { PREFIX_LEN = sizeof prefix - 1, HEX_LEN = 64 };

bool digest_parse(const char *text, struct digest *out)
{
    struct digest digest;
    if (strlen(text) != PREFIX_LEN + HEX_LEN || memcmp(text, prefix, PREFIX_LEN) != 0)
        return false;
    if (!hex_decode(text + PREFIX_LEN, HEX_LEN, digest.bytes))
        return false;
    *out = digest;
    return true;
}

struct digest_text digest_format(const struct digest *digest)
{
    struct digest_text out;
    memcpy(out.text, prefix, PREFIX_LEN);
    hex_encode(digest->bytes, sizeof digest->bytes, out.text + PREFIX_LEN);
    return out;
}

const char *digest_hex(const struct digest_text *text)
{
    return text->text + PREFIX_LEN;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool digest_is_zero(const struct digest *digest)
{
    static const struct digest zero;
    return digest_equal(digest, &zero);
}
