#include "wire/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t len, char *out)
{
    const uint8_t *in = data;
    for (; len > 0; in += 3) {
        size_t have = len < 3 ? len : 3;
        uint32_t bits =
            (uint32_t)in[0] << 16 | (have > 1 ? (uint32_t)in[1] << 8 : 0) | (have > 2 ? in[2] : 0);
        for (size_t i = 0; i < 4; i++)
            *out++ = i <= have ? digits[bits >> (18 - 6 * i) & 63] : '=';
        len -= have;
    }
    *out = '\0';
}

static int value_of(char digit)
{
    const char *at = digit ? strchr(digits, digit) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Four digits of which `have` count: have - 1 bytes. */
static bool decode_group(const char *text, size_t have, uint8_t *out)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < have ? value_of(text[i]) : 0;
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
    }
    for (size_t i = 0; i + 1 < have; i++)
        out[i] = (uint8_t)(bits >> (16 - 8 * i));
    return have == 4 || (bits & (have == 3 ? 0xff : 0xffff)) == 0;
}

bool base64_decode(const char *text, size_t text_len, uint8_t *out, size_t *out_len)
{
    *out_len = 0;
    if (text_len % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < text_len && text[text_len - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < text_len; i += 4) {
        size_t have = i + 4 == text_len ? 4 - padding : 4;
        if (!decode_group(text + i, have, out + *out_len))
            return false;
        *out_len += have - 1;
    }
    return true;
}
