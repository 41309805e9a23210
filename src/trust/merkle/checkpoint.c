#include "trust/merkle/checkpoint.h"

#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/hash.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

enum { HASH_BYTES = 4, SIGNATURE_BYTES = 64, ALGORITHM_ED25519 = 1, MAX_SIGNATURES = 64, BASE64_MAX = 96 };

static const char dash[] = "\xe2\x80\x94 "; /* "— " */

/* ---- base64 of few bytes ---- */

static void encode(const uint8_t *data, size_t len, char out[BASE64_MAX + 1])
{
    EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

/* Exactly `want` bytes, in the one spelling that we would have written. */
static bool decode(const char *text, size_t len, uint8_t *out, size_t want)
{
    uint8_t data[BASE64_MAX / 4 * 3];
    char again[BASE64_MAX + 1];
    if (len != (want + 2) / 3 * 4 || len > BASE64_MAX ||
        EVP_DecodeBlock(data, (const unsigned char *)text, (int)len) < (int)want)
        return false;
    encode(data, want, again);
    if (memcmp(again, text, len) != 0)
        return false;
    memcpy(out, data, want);
    return true;
}

/* ---- names and keys ---- */

static bool is_name(const char *text)
{
    if (!text[0])
        return false;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '+')
            return false;
    return true;
}

static void key_hash(const char *name, const struct public_key *key, uint8_t out[HASH_BYTES])
{
    uint8_t bytes[CHECKPOINT_ORIGIN_SIZE + 2 + sizeof key->raw];
    size_t len = strlen(name);
    memcpy(bytes, name, len);
    bytes[len++] = '\n';
    bytes[len++] = ALGORITHM_ED25519;
    memcpy(bytes + len, key->raw, sizeof key->raw);
    struct digest digest = hash_bytes(bytes, len + sizeof key->raw);
    memcpy(out, digest.bytes, HASH_BYTES);
}

void checkpoint_key_format(const char *origin, const struct public_key *key, char out[CHECKPOINT_KEY_SIZE])
{
    uint8_t hash[HASH_BYTES], bytes[1 + sizeof key->raw] = {ALGORITHM_ED25519};
    char hex[2 * HASH_BYTES + 1], base64[BASE64_MAX + 1];
    key_hash(origin, key, hash);
    hex_encode(hash, sizeof hash, hex);
    memcpy(bytes + 1, key->raw, sizeof key->raw);
    encode(bytes, sizeof bytes, base64);
    snprintf(out, CHECKPOINT_KEY_SIZE, "%s+%s+%s", origin, hex, base64);
}

int checkpoint_key_parse(const char *text, char out_origin[CHECKPOINT_ORIGIN_SIZE], struct public_key *out,
                         struct err *err)
{
    uint8_t bytes[1 + sizeof out->raw];
    char origin[CHECKPOINT_ORIGIN_SIZE], again[CHECKPOINT_KEY_SIZE];
    const char *plus = strchr(text, '+');
    size_t len = plus ? (size_t)(plus - text) : 0;
    if (!plus || len == 0 || len >= sizeof origin || strlen(plus) < 2 + 2 * HASH_BYTES)
        return err_set(err, ERR_INVALID, "this is no verifier key (name+hash+key)");
    memcpy(origin, text, len);
    origin[len] = 0;
    const char *base64 = plus + 2 + 2 * HASH_BYTES;
    if (!is_name(origin) || !decode(base64, strlen(base64), bytes, sizeof bytes) ||
        bytes[0] != ALGORITHM_ED25519)
        return err_set(err, ERR_INVALID, "this is no verifier key of Ed25519 (name+hash+key)");
    struct public_key key;
    public_key_from_raw(bytes + 1, &key);
    checkpoint_key_format(origin, &key, again);
    if (strcmp(again, text) != 0)
        return err_set(err, ERR_INVALID, "the verifier key does not fit its own hash");
    memcpy(out_origin, origin, sizeof origin);
    *out = key;
    return 0;
}

/* ---- signing ---- */

int checkpoint_sign(const struct checkpoint *checkpoint, const struct signing_key *key, char **out,
                    struct err *err)
{
    char root[BASE64_MAX + 1], line[BASE64_MAX + 1];
    uint8_t signature[HASH_BYTES + SIGNATURE_BYTES];
    struct public_key public;
    if (!is_name(checkpoint->origin))
        return err_set(err, ERR_INVALID, "\"%s\" is no name of a log", checkpoint->origin);
    encode(checkpoint->root.bytes, sizeof checkpoint->root.bytes, root);
    cleanup_free char *text = mem_printf("%s\n%" PRIu64 "\n%s\n", checkpoint->origin, checkpoint->size, root);
    if (!text)
        return err_no_memory(err);
    signing_key_public(key, &public);
    key_hash(checkpoint->origin, &public, signature);
    if (signing_key_sign(key, text, strlen(text), signature + HASH_BYTES, err) < 0)
        return -1;
    encode(signature, sizeof signature, line);
    *out = mem_printf("%s\n%s%s %s\n", text, dash, checkpoint->origin, line);
    return *out ? 0 : err_no_memory(err);
}

/* ---- reading ---- */

struct span {
    const char *at;
    size_t len;
};

/* The next line without its line feed; false: there is none. */
static bool take_line(struct span *text, struct span *out)
{
    const char *end = text->len ? memchr(text->at, '\n', text->len) : NULL;
    if (!end)
        return false;
    *out = (struct span){.at = text->at, .len = (size_t)(end - text->at)};
    text->at = end + 1;
    text->len -= out->len + 1;
    return true;
}

static bool copy_line(const struct span *line, char *out, size_t size)
{
    if (line->len >= size || memchr(line->at, 0, line->len))
        return false;
    memcpy(out, line->at, line->len);
    out[line->len] = 0;
    return true;
}

struct note { /* a signed note in its parts, all borrowed */
    struct span text, signatures;
};

static int parse_note(const char *text, size_t len, struct note *out, struct err *err)
{
    const char *blank = NULL;
    if (len > CHECKPOINT_MAX_BYTES)
        return err_set(err, ERR_INVALID, "checkpoint: %zu bytes, the limit is %d", len, CHECKPOINT_MAX_BYTES);
    if (len == 0 || text[len - 1] != '\n')
        return err_set(err, ERR_INVALID, "checkpoint: its last line has no end");
    for (size_t i = 0; i + 1 < len; i++)
        blank = text[i] == '\n' && text[i + 1] == '\n' ? text + i : blank; /* the last one */
    if (!blank)
        return err_set(err, ERR_INVALID, "checkpoint: no blank line before its signatures");
    out->text = (struct span){.at = text, .len = (size_t)(blank - text) + 1};
    out->signatures = (struct span){.at = blank + 2, .len = len - out->text.len - 1};
    return 0;
}

static int parse_text(struct span text, struct checkpoint *out, struct err *err)
{
    struct span origin, size, root;
    char digits[24] = "", again[24];
    struct checkpoint checkpoint = {0};
    if (!take_line(&text, &origin) || !take_line(&text, &size) || !take_line(&text, &root))
        return err_set(err, ERR_INVALID, "checkpoint: it wants a line for its log, its size and its root");
    if (!copy_line(&origin, checkpoint.origin, sizeof checkpoint.origin) || !is_name(checkpoint.origin))
        return err_set(err, ERR_INVALID, "checkpoint: the name of the log is none");
    bool number = copy_line(&size, digits, sizeof digits) && str_to_u64(digits, &checkpoint.size) &&
                  checkpoint.size <= INT64_MAX;
    snprintf(again, sizeof again, "%" PRIu64, checkpoint.size);
    if (!number || strcmp(again, digits) != 0)
        return err_set(err, ERR_INVALID, "checkpoint: its size is no number");
    if (!decode(root.at, root.len, checkpoint.root.bytes, sizeof checkpoint.root.bytes))
        return err_set(err, ERR_INVALID, "checkpoint: its root is not 32 bytes of base64");
    *out = checkpoint;
    return 0;
}

int checkpoint_parse(const void *text, size_t len, struct checkpoint *out, struct err *err)
{
    struct note note;
    return parse_note(text, len, &note, err) < 0 ? -1 : parse_text(note.text, out, err);
}

/* "— name base64": whether it is this key's, and holds. */
static bool holds(const struct span *line, const char *name, const struct public_key *key,
                  const struct span *text)
{
    size_t before = strlen(dash) + strlen(name) + 1;
    uint8_t signature[HASH_BYTES + SIGNATURE_BYTES], hash[HASH_BYTES];
    if (line->len <= before || memcmp(line->at, dash, strlen(dash)) != 0 ||
        memcmp(line->at + strlen(dash), name, strlen(name)) != 0 || line->at[before - 1] != ' ' ||
        !decode(line->at + before, line->len - before, signature, sizeof signature))
        return false;
    key_hash(name, key, hash);
    return memcmp(hash, signature, sizeof hash) == 0 &&
           public_key_verify(key, text->at, text->len, signature + HASH_BYTES);
}

int checkpoint_open(const void *text, size_t len, const struct public_key *keys, size_t count,
                    struct checkpoint *out, struct err *err)
{
    struct note note;
    struct checkpoint checkpoint;
    struct span line;
    if (parse_note(text, len, &note, err) < 0 || parse_text(note.text, &checkpoint, err) < 0)
        return -1;
    struct span left = note.signatures;
    for (int n = 0; n < MAX_SIGNATURES && take_line(&left, &line); n++)
        for (size_t i = 0; i < count; i++)
            if (holds(&line, checkpoint.origin, &keys[i], &note.text)) {
                *out = checkpoint;
                return 0;
            }
    return err_set(err, ERR_UNTRUSTED, "checkpoint of %s: no key that is trusted for it signed it",
                   checkpoint.origin);
}
