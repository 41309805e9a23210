/* muster audit prove, muster audit check: an entry, its way to the root and the signed root in one file (C2SP tlog-proof):
 *
 *     c2sp.org/tlog-proof@v1
 *     extra ZW50cnk=                the entry, base64
 *     index 1233                    from 0: entry 1234
 *     rR6c…=                        hashes of the proof, a line each
 *
 *     muster.audit/5f0c…            the checkpoint, as it was signed
 */
#include "cli/audit_log.h"

#include "base/str.h"
#include "cli/output.h"
#include "sys/file.h"
#include "trust/merkle/proof.h"
#include "wire/json.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

enum { ENTRY_MAX = 256 << 10, PROOF_MAX = 512 << 10 };
#define MAGIC "c2sp.org/tlog-proof@v1"

/* ---- prove ---- */

static int put_base64(struct buf *out, const void *data, size_t len, struct err *err)
{
    cleanup_free char *text = mem_zalloc((len + 2) / 3 * 4 + 1, 1);
    if (!text)
        return err_no_memory(err);
    EVP_EncodeBlock((unsigned char *)text, data, (int)len);
    return buf_puts(out, text, err);
}

static int write_proof(struct json_at root, struct buf *out, struct err *err)
{
    cleanup_free char *entry = mem_zalloc(ENTRY_MAX, 1), *checkpoint = mem_zalloc(CHECKPOINT_MAX_BYTES, 1);
    uint64_t seq = 1;
    size_t count = 0;
    if (!entry || !checkpoint)
        return err_no_memory(err);
    json_get_u64(root, "seq", INT64_MAX, &seq);
    json_get_string(root, "entry", entry, ENTRY_MAX);
    json_get_string(root, "checkpoint", checkpoint, CHECKPOINT_MAX_BYTES);
    if (buf_puts(out, MAGIC "\nextra ", err) < 0 || put_base64(out, entry, strlen(entry), err) < 0 ||
        buf_printf(out, err, "\nindex %" PRIu64 "\n", seq - 1) < 0)
        return -1;
    struct json_at list = json_list(root, "inclusion", MERKLE_PROOF_MAX, &count);
    for (size_t i = 0; i < count; i++) {
        char text[DIGEST_TEXT_SIZE] = "";
        struct digest hash = {0};
        json_as_string(json_item(list, i), text, sizeof text);
        digest_parse(text, &hash);
        if (put_base64(out, hash.bytes, sizeof hash.bytes, err) < 0 || buf_puts(out, "\n", err) < 0)
            return -1;
    }
    return buf_printf(out, err, "\n%s", checkpoint);
}

static int fetch_proof(struct client *client, uint64_t seq, struct buf *out, struct err *err)
{
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    struct json_reader reader;
    struct err malformed = {0};
    char path[64];
    snprintf(path, sizeof path, "/api/v1/audit/proof?seq=%" PRIu64, seq);
    if (client_call(client, "GET", path, NULL, &answer, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    int rc = write_proof(json_root(&reader), out, err);
    if (json_finish(&reader, &malformed) < 0 && rc == 0) {
        *err = malformed;
        return -1;
    }
    return rc;
}

int audit_prove(int argc, char **argv, struct err *err)
{
    struct client_flags where = {0};
    const char *output = NULL;
    uint64_t seq;
    struct operands operands = {.usage = "SEQ", .min = 1, .max = 1};
    const struct option_def options[] = {CLIENT_OPTIONS(where), OPT_TEXT("output", 'o', &output)};
    cleanup_client struct client *client = NULL;
    cleanup_buf struct buf proof = BUF_INIT(PROOF_MAX);
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (!str_to_u64(operands.items[0], &seq) || seq == 0 || seq > INT64_MAX)
        return err_set(err, ERR_USAGE, "SEQ wants the number of an entry; muster audit show lists them");
    if (!output)
        return err_set(err, ERR_USAGE, "-o FILE is missing: where the proof goes");
    if (client_open(&where, &client, err) < 0 || fetch_proof(client, seq, &proof, err) < 0)
        return -1;
    return file_replace(output, proof.data, proof.len, 0644, err);
}

/* ---- check ---- */

struct claim {
    char *entry; /* owned */
    size_t entry_len;
    uint64_t index;
    struct merkle_proof proof;
    const char *checkpoint;
};

/* At most `max` bytes of base64 in the one spelling; -1: it is none. */
static long decode(const char *text, uint8_t *out, size_t max)
{
    size_t len = strlen(text),
           padding = len > 1 ? (size_t)(text[len - 1] == '=') + (text[len - 2] == '=') : 0;
    cleanup_free uint8_t *data = mem_zalloc(len / 4 * 3 + 1, 1);
    cleanup_free char *again = mem_zalloc(len + 5, 1);
    if (!data || !again || len % 4 || len / 4 * 3 > max + 2)
        return -1;
    int got = len ? EVP_DecodeBlock(data, (const unsigned char *)text, (int)len) : 0;
    if (got < (int)padding)
        return -1;
    EVP_EncodeBlock((unsigned char *)again, data, got - (int)padding);
    if (strcmp(again, text) != 0 || (size_t)got - padding > max)
        return -1;
    memcpy(out, data, (size_t)got - padding);
    return got - (long)padding;
}

/* Cuts the next line off; NULL: there is none. */
static char *take_line(char **rest)
{
    char *line = *rest, *end = strchr(line, '\n');
    if (!end)
        return NULL;
    *end = 0;
    *rest = end + 1;
    return line;
}

static int parse_claim(char *text, struct claim *out, struct err *err)
{
    char *line = take_line(&text);
    if (!line || !str_eq(line, MAGIC))
        return err_set(err, ERR_INVALID, "this is no proof; muster audit prove writes one");
    line = take_line(&text);
    if (!line || !str_starts(line, "extra ") || !(out->entry = mem_zalloc(ENTRY_MAX + 1, 1)))
        return err_set(err, ERR_INVALID, "the entry is missing");
    long len = decode(line + strlen("extra "), (uint8_t *)out->entry, ENTRY_MAX);
    line = take_line(&text);
    if (len < 0 || !line || !str_starts(line, "index ") || !str_to_u64(line + strlen("index "), &out->index))
        return err_set(err, ERR_INVALID, "the entry or its number is malformed");
    out->entry_len = (size_t)len;
    while ((line = take_line(&text)) && *line) {
        if (out->proof.count == MERKLE_PROOF_MAX ||
            decode(line, out->proof.hashes[out->proof.count++].bytes, sizeof(struct digest)) !=
                (long)sizeof(struct digest))
            return err_set(err, ERR_INVALID, "a hash of the proof is malformed");
    }
    out->checkpoint = text;
    return line ? 0 : err_set(err, ERR_INVALID, "the checkpoint is missing");
}

static int check_claim(const struct claim *claim, const struct audit_keys *keys, struct checkpoint *out,
                       struct err *err)
{
    if (checkpoint_open(claim->checkpoint, strlen(claim->checkpoint), keys->items, keys->count, out, err) < 0)
        return -1;
    struct digest leaf = merkle_leaf(claim->entry, claim->entry_len);
    if (!merkle_check_inclusion(&leaf, claim->index, out->size, &out->root, &claim->proof))
        return err_set(err, ERR_UNTRUSTED, "the entry is not number %" PRIu64 " of the log that was signed",
                       claim->index + 1);
    return 0;
}

static int say(const struct claim *claim, const struct checkpoint *checkpoint, bool json, struct err *err)
{
    if (!json) {
        printf("entry %" PRIu64 " of %s (%" PRIu64 " entries then), proved:\n%s\n", claim->index + 1,
               checkpoint->origin, checkpoint->size, claim->entry);
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_boolean(&out, "proved", true);
    jsonw_u64(&out, "seq", claim->index + 1);
    jsonw_text(&out, "origin", checkpoint->origin);
    jsonw_u64(&out, "size", checkpoint->size);
    jsonw_text(&out, "entry", claim->entry);
    jsonw_close(&out);
    return output_print(&out, err);
}

int audit_check(int argc, char **argv, struct err *err)
{
    struct audit_key_flags flags = {0};
    struct audit_keys keys = {0};
    struct checkpoint checkpoint;
    struct claim claim = {0};
    bool json = false;
    struct operands operands = {.usage = "FILE", .min = 1, .max = 1};
    const struct option_def options[] = {OPT_LIST("key", 'k', &flags.keys), OPT_LIST("root", 0, &flags.roots),
                                         OPT_FLAG("json", 0, &json)};
    cleanup_buf struct buf text = BUF_INIT(PROOF_MAX);
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0 ||
        audit_keys_read(&flags, &keys, err) < 0)
        return -1;
    if (!keys.count)
        return err_set(err, ERR_USAGE, "--key or --root is missing: whose log is it?");
    if (file_read(operands.items[0], &text, err) < 0)
        return -1;
    int rc =
        text.data ? parse_claim((char *)text.data, &claim, err) : err_set(err, ERR_INVALID, "it is empty");
    if (rc == 0)
        rc = check_claim(&claim, &keys, &checkpoint, err);
    if (rc == 0)
        rc = say(&claim, &checkpoint, json, err);
    else
        err_prefix(err, "%s", operands.items[0]);
    free(claim.entry);
    return rc;
}
