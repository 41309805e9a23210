#include "base/str.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/merkle/proof.h"
#include "trust/oms/inside.h"

#include <openssl/err.h>
#include <openssl/pem.h>

_Static_assert((int)OMS_MAX_PROOF <= (int)MERKLE_PROOF_MAX, "a bundle's proof fits");

static int untrusted(struct err *err, const char *why)
{
    return err_set(err, ERR_UNTRUSTED, "transparency log: %s", why);
}

/* ---- what the log says ---- */

static int check_promise(const struct oms_log_entry *entry, const struct oms_key *key, struct err *err)
{
    cleanup_free char *text = sigstore_promise(entry);
    if (!text)
        return err_no_memory(err);
    if (!oms_key_check(key, text, strlen(text), entry->promise, entry->promise_len))
        return untrusted(err, "its promise to take the signature in, with the time, does not hold");
    return 0;
}

static bool is_signed(const struct sigstore_note *note, const struct oms_log_entry *entry,
                      const struct oms_key *key)
{
    for (size_t i = 0; i < note->count; i++)
        if (memcmp(note->signatures[i].key_hash, entry->log_id.bytes, sizeof note->signatures[i].key_hash) ==
                0 &&
            oms_key_check(key, entry->checkpoint, note->text_len, note->signatures[i].sig,
                          note->signatures[i].sig_len))
            return true;
    return false;
}

static int check_inclusion(const struct oms_log_entry *entry, const struct oms_key *key, struct err *err)
{
    struct sigstore_note note;
    struct merkle_proof proof = {.count = entry->hash_count};
    if (sigstore_note_parse(entry->checkpoint, &note, err) < 0)
        return err_prefix(err, "transparency log");
    if (!is_signed(&note, entry, key))
        return untrusted(err, "its checkpoint is not signed with its key");
    if (note.size != entry->tree_size || !digest_equal(&note.root, &entry->root))
        return untrusted(err, "the checkpoint is of another tree than the proof");
    memcpy(proof.hashes, entry->hashes, entry->hash_count * sizeof proof.hashes[0]);
    struct digest leaf = merkle_leaf(entry->body.data, entry->body.len);
    return merkle_check_inclusion(&leaf, entry->leaf_index, entry->tree_size, &entry->root, &proof)
               ? 0
               : untrusted(err, "the entry is not in the tree of its checkpoint");
}

/* ---- what the entry says ---- */

static bool is_certificate(const struct oms_bytes *pem, const struct oms_bytes *der)
{
    cleanup_bio BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    cleanup_x509 X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, ossl_no_passphrase, NULL) : NULL;
    unsigned char *again = NULL;
    int len = cert ? i2d_X509(cert, &again) : -1;
    bool same = len > 0 && (size_t)len == der->len && memcmp(again, der->data, der->len) == 0;
    OPENSSL_free(again);
    ERR_clear_error();
    return same;
}

static int check_body(const struct oms_bundle *bundle, struct err *err)
{
    cleanup_sigstore_body struct sigstore_body body = {0};
    if (sigstore_body_parse(bundle->entry->body.data, bundle->entry->body.len, &body, err) < 0)
        return -1;
    struct digest payload = hash_bytes(bundle->payload, bundle->payload_len);
    if (!digest_equal(&payload, &body.payload))
        return untrusted(err, "the entry is about another statement");
    if (body.sig_len != bundle->sig_len || memcmp(body.sig, bundle->sig, body.sig_len) != 0)
        return untrusted(err, "the entry is about another signature");
    if (!is_certificate(&body.verifier, &bundle->certificates[0]))
        return untrusted(err, "the entry is about another certificate");
    return 0;
}

int oms_log_check(const struct sigstore_root *root, const struct oms_bundle *bundle, struct err *err)
{
    const struct oms_log_entry *entry = bundle->entry;
    cleanup_oms_key struct oms_key *key = NULL;
    const struct sigstore_log *log = sigstore_find_log(&root->logs, &entry->log_id, entry->time_s);
    if (!log)
        return untrusted(err, "it is not one that the trusted root knows for this time");
    if (oms_key_decode(&log->key, &key, err) < 0)
        return err_prefix(err, "trusted root, transparency log");
    if (check_promise(entry, key, err) < 0 || check_inclusion(entry, key, err) < 0)
        return -1;
    return check_body(bundle, err);
}
