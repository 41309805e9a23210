#include "wire/sealed.h"

#include <inttypes.h>
#include <string.h>

enum { VERSION = 1, AT_VERSION = 8, AT_CHUNK = 12, AT_LENGTH = 16, AT_KEY = 24, AT_SALT = 56 };
static const char magic[] = "MSTRSEAL";

static uint64_t get_number(const uint8_t *data, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | data[i];
    return value;
}

static void put_number(uint8_t *out, int bytes, uint64_t value)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

uint64_t sealed_chunks(uint64_t plain_bytes)
{
    return plain_bytes == 0 ? 1 : (plain_bytes - 1) / SEALED_CHUNK_BYTES + 1;
}

uint64_t sealed_size(uint64_t plain_bytes)
{
    return SEALED_HEAD_BYTES + plain_bytes + sealed_chunks(plain_bytes) * SEALED_TAG_BYTES;
}

int sealed_parse(const void *data, size_t len, uint64_t size, struct sealed_head *out, struct err *err)
{
    const uint8_t *bytes = data;
    if (len < SEALED_HEAD_BYTES || memcmp(bytes, magic, AT_VERSION) != 0)
        return err_set(err, ERR_INVALID, "no sealed weights");
    uint64_t version = get_number(bytes + AT_VERSION, 4);
    if (version != VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "sealed weights of version %" PRIu64 "; this program knows version %d", version,
                       VERSION);
    if (get_number(bytes + AT_CHUNK, 4) != SEALED_CHUNK_BYTES)
        return err_set(err, ERR_INVALID, "sealed weights with chunks of %" PRIu64 " bytes, not %d",
                       get_number(bytes + AT_CHUNK, 4), SEALED_CHUNK_BYTES);
    uint64_t plain_bytes = get_number(bytes + AT_LENGTH, 8);
    if (plain_bytes > SEALED_MAX_BYTES)
        return err_set(err, ERR_INVALID, "sealed weights of %" PRIu64 " bytes, the limit is %llu",
                       plain_bytes, SEALED_MAX_BYTES);
    if (size != sealed_size(plain_bytes))
        return err_set(err, ERR_CORRUPT, "sealed weights of %" PRIu64 " bytes, their head says %" PRIu64,
                       size, sealed_size(plain_bytes));
    out->plain_bytes = plain_bytes;
    memcpy(out->key_id, bytes + AT_KEY, sizeof out->key_id);
    memcpy(out->salt, bytes + AT_SALT, sizeof out->salt);
    return 0;
}

void sealed_format(const struct sealed_head *head, uint8_t out[SEALED_HEAD_BYTES])
{
    memcpy(out, magic, AT_VERSION);
    put_number(out + AT_VERSION, 4, VERSION);
    put_number(out + AT_CHUNK, 4, SEALED_CHUNK_BYTES);
    put_number(out + AT_LENGTH, 8, head->plain_bytes);
    memcpy(out + AT_KEY, head->key_id, sizeof head->key_id);
    memcpy(out + AT_SALT, head->salt, sizeof head->salt);
}
