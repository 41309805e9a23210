#include "trust/key.h"
#include "base/hex.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/ossl.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

enum { MAX_PEM_BYTES = 16 * 1024, SIGNATURE_BYTES = 64 };

struct signing_key {
    EVP_PKEY *pkey;
};

/* Takes `pkey` in any case. */
static int wrap(EVP_PKEY *pkey, struct signing_key **out, struct err *err)
{
    struct signing_key *key = mem_zalloc(1, sizeof *key);
    if (!key) {
        EVP_PKEY_free(pkey);
        return err_no_memory(err);
    }
    key->pkey = pkey;
    *out = key;
    return 0;
}

int signing_key_generate(struct signing_key **out, struct err *err)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!pkey)
        return ossl_fail(err, ERR_INTERNAL, "cannot make an Ed25519 key");
    return wrap(pkey, out, err);
}

static int parse_private(const struct buf *pem, struct signing_key **out, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    if (!bio)
        return err_no_memory(err);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, ossl_no_passphrase, NULL);
    BIO_free(bio);
    if (!pkey)
        return ossl_fail(err, ERR_INVALID, "not a private key in PEM without a passphrase");
    if (!EVP_PKEY_is_a(pkey, "ED25519")) {
        EVP_PKEY_free(pkey);
        return err_set(err, ERR_INVALID, "not an Ed25519 key; make one with `muster keys init`");
    }
    return wrap(pkey, out, err);
}

static int check_private(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, "cannot look at it");
    if ((st.st_mode & 077) == 0)
        return 0;
    return err_set(err, ERR_REFUSED,
                   "others than its owner may use this private key (mode %03o); run `chmod 600` on it "
                   "(a FAT medium: mount it with umask=077)",
                   (unsigned)st.st_mode & 0777);
}

int signing_key_load(const char *pem_path, struct signing_key **out, struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(MAX_PEM_BYTES);
    cleanup_signing_key struct signing_key *key = NULL;
    if (file_read(pem_path, &pem, err) < 0)
        return -1;
    int rc = parse_private(&pem, &key, err);
    if (pem.data)
        OPENSSL_cleanse(pem.data, pem.cap);
    if (rc < 0 || check_private(pem_path, err) < 0)
        return err_prefix(err, "%s", pem_path);
    *out = TAKE_PTR(key);
    return 0;
}

int signing_key_save(const struct signing_key *key, const char *pem_path, struct err *err)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    if (!bio)
        return err_no_memory(err);
    char *text = NULL;
    int rc;
    if (PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1) {
        rc = ossl_fail(err, ERR_INTERNAL, "cannot write the key as PEM");
    } else {
        long len = BIO_get_mem_data(bio, &text);
        rc = file_create(pem_path, text, (size_t)len, 0600, err);
    }
    BIO_free(bio); /* secure memory is wiped */
    if (rc < 0 && err->code == ERR_EXISTS)
        return err_set(err, ERR_EXISTS,
                       "%s: exists already, and keys are never overwritten; move it away first", pem_path);
    return rc;
}

void signing_key_free(struct signing_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

int signing_key_sign(const struct signing_key *key, const void *data, size_t len, uint8_t out[64],
                     struct err *err)
{
    size_t out_len = SIGNATURE_BYTES;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
                EVP_DigestSign(ctx, out, &out_len, data, len) == 1 && out_len == SIGNATURE_BYTES;
    EVP_MD_CTX_free(ctx);
    return good ? 0 : ossl_fail(err, ERR_INTERNAL, "cannot sign");
}

void signing_key_public(const struct signing_key *key, struct public_key *out)
{
    uint8_t raw[32] = {0};
    size_t len = sizeof raw;
    if (EVP_PKEY_get_raw_public_key(key->pkey, raw, &len) != 1) /* cannot happen: the type was checked */
        abort();
    public_key_from_raw(raw, out);
}

void public_key_from_raw(const uint8_t raw[32], struct public_key *out)
{
    struct digest digest = hash_bytes(raw, 32);
    memcpy(out->raw, raw, 32);
    hex_encode(digest.bytes, sizeof digest.bytes, out->id);
}

bool public_key_verify(const struct public_key *key, const void *data, size_t len,
                       const uint8_t signature[64])
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, key->raw, sizeof key->raw);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
                EVP_DigestVerify(ctx, signature, SIGNATURE_BYTES, data, len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return good;
}

static int parse_public(const struct buf *pem, struct public_key *out, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    if (!bio)
        return err_no_memory(err);
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, ossl_no_passphrase, NULL);
    BIO_free(bio);
    uint8_t raw[32];
    size_t len = sizeof raw;
    bool good = pkey && EVP_PKEY_is_a(pkey, "ED25519") && EVP_PKEY_get_raw_public_key(pkey, raw, &len) == 1;
    EVP_PKEY_free(pkey);
    if (!good)
        return ossl_fail(err, ERR_INVALID, "not an Ed25519 public key in PEM");
    public_key_from_raw(raw, out);
    return 0;
}

int public_key_load(const char *pem_path, struct public_key *out, struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(MAX_PEM_BYTES);
    if (file_read(pem_path, &pem, err) < 0)
        return -1;
    if (parse_public(&pem, out, err) < 0)
        return err_prefix(err, "%s", pem_path);
    return 0;
}

int public_key_save(const struct public_key *key, const char *pem_path, struct err *err)
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, key->raw, sizeof key->raw);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    int rc;
    if (pkey && bio && PEM_write_bio_PUBKEY(bio, pkey) == 1) {
        long len = BIO_get_mem_data(bio, &text);
        rc = file_replace(pem_path, text, (size_t)len, 0644, err);
    } else {
        rc = ossl_fail(err, ERR_INTERNAL, "cannot write the public key as PEM");
    }
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return rc;
}
