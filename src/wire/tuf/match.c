#include "base/mem.h"
#include "base/str.h"
#include "wire/tuf/metadata.h"

/* ---- globs, as Python's fnmatch has them: no escapes, leading dots are nothing special ---- */

/* The next character (code point; a stray byte is itself) and how many bytes it has. */
static uint32_t next_char(const char *at, const char *end, size_t *out_len)
{
    uint8_t first = (uint8_t)*at;
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    uint32_t value = len == 1 ? first : first & (0x7fU >> len);
    if (len > (size_t)(end - at))
        len = 1;
    for (size_t i = 1; i < len; i++)
        value = value << 6 | ((uint8_t)at[i] & 0x3f);
    *out_len = len;
    return value;
}

/* The ']' that closes the set at '[', or NULL if that is an ordinary character. */
static const char *set_end(const char *open, const char *end)
{
    const char *at = open + 1;
    if (at < end && *at == '!')
        at++;
    if (at < end && *at == ']')
        at++;
    while (at < end && *at != ']')
        at++;
    return at < end ? at : NULL;
}

static bool in_set(const char *open, const char *close, uint32_t c)
{
    const char *at = open + 1;
    bool negated = *at == '!', found = false;
    for (at += negated; at < close;) {
        size_t len;
        uint32_t low = next_char(at, close, &len), high = low;
        at += len;
        if (close - at >= 2 && *at == '-') {
            high = next_char(at + 1, close, &len);
            at += 1 + len;
        }
        found = found || (c >= low && c <= high);
    }
    return found != negated;
}

/* One pattern character against one of the text. *pattern moves on if it matches. */
static bool match_one(const char **pattern, const char *pattern_end, uint32_t c)
{
    size_t len;
    const char *at = *pattern, *close = *at == '[' ? set_end(at, pattern_end) : NULL;
    if (close ? !in_set(at, close, c) : *at != '?' && next_char(at, pattern_end, &len) != c)
        return false;
    if (close)
        *pattern = close + 1;
    else
        *pattern = at + (next_char(at, pattern_end, &len), len);
    return true;
}

/* Goes back to the last star only, so that no pattern costs more than its length times the text's. */
static bool glob(const char *pattern, const char *pattern_end, const char *text, const char *text_end)
{
    const char *star = NULL, *retry = NULL;
    size_t len;
    while (text < text_end) {
        if (pattern < pattern_end && *pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (pattern < pattern_end &&
                   match_one(&pattern, pattern_end, next_char(text, text_end, &len))) {
            text += len;
        } else if (star) {
            next_char(retry, text_end, &len);
            text = retry += len;
            pattern = star;
        } else {
            return false;
        }
    }
    while (pattern < pattern_end && *pattern == '*')
        pattern++;
    return pattern == pattern_end;
}

/* Component by component; both must have as many. */
static bool path_matches(const char *pattern, const char *path)
{
    for (;;) {
        const char *pattern_end = strchrnul(pattern, '/'), *path_end = strchrnul(path, '/');
        if (!glob(pattern, pattern_end, path, path_end) || *pattern_end != *path_end)
            return false;
        if (!*path_end)
            return true;
        pattern = pattern_end + 1;
        path = path_end + 1;
    }
}

bool tuf_delegation_matches(const struct tuf_delegation *delegation, const char *path,
                            const char path_sha256_hex[65])
{
    for (size_t i = 0; i < delegation->path_count; i++)
        if (path_matches(delegation->paths[i], path))
            return true;
    for (size_t i = 0; i < delegation->prefix_count; i++)
        if (str_starts(path_sha256_hex, delegation->prefixes[i]))
            return true;
    return false;
}

/* ---- succinct hashed bins ---- */

char *tuf_succinct_bin(const struct tuf_succinct *succinct, const uint8_t path_sha256[32])
{
    uint32_t head = (uint32_t)path_sha256[0] << 24 | (uint32_t)path_sha256[1] << 16 |
                    (uint32_t)path_sha256[2] << 8 | path_sha256[3];
    return mem_printf("%s-%0*x", succinct->prefix, (succinct->bit_length + 3) / 4,
                      head >> (32 - succinct->bit_length));
}
