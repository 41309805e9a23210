#include "base/hex.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/oms/inside.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

enum { MAX_PEM_BYTES = 16 * 1024 };

static bool choose_curve(struct oms_key *key)
{
    static const struct {
        const char *group, *name;
        const EVP_MD *(*digest)(void);
    } curves[] = {{"prime256v1", "P-256", EVP_sha256},
                  {"secp384r1", "P-384", EVP_sha384},
                  {"secp521r1", "P-521", EVP_sha512}};
    char group[32];
    if (!EVP_PKEY_is_a(key->pkey, "EC") ||
        EVP_PKEY_get_utf8_string_param(key->pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) != 1)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
        if (!str_eq(group, curves[i].group))
            continue;
        key->curve = curves[i].name;
        key->digest = curves[i].digest();
        return true;
    }
    return false;
}

/* What the reference tools call a key by: the hash of its PEM. */
static bool make_hint(struct oms_key *key)
{
    cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (!bio || PEM_write_bio_PUBKEY(bio, key->pkey) != 1)
        return false;
    long len = BIO_get_mem_data(bio, &text);
    struct digest digest = hash_bytes(text, (size_t)len);
    hex_encode(digest.bytes, sizeof digest.bytes, key->hint);
    return true;
}

int oms_key_wrap(EVP_PKEY *pkey, struct oms_key **out, struct err *err)
{
    cleanup_oms_key struct oms_key *key = mem_zalloc(1, sizeof *key);
    if (!key) {
        EVP_PKEY_free(pkey);
        return err_no_memory(err);
    }
    key->pkey = pkey;
    if (!choose_curve(key))
        return ossl_fail(err, ERR_UNSUPPORTED,
                         "its key is not on P-256, P-384 or P-521, which model signatures take");
    if (!make_hint(key))
        return ossl_fail(err, ERR_INTERNAL, "cannot write the public key");
    *out = TAKE_PTR(key);
    return 0;
}

int oms_key_decode(const struct oms_bytes *der, struct oms_key **out, struct err *err)
{
    const unsigned char *at = der->data;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)der->len);
    if (pkey && at == der->data + der->len)
        return oms_key_wrap(pkey, out, err);
    EVP_PKEY_free(pkey);
    return ossl_fail(err, ERR_INVALID, "its key is none");
}

int oms_key_generate(struct oms_key **out, struct err *err)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    return pkey ? oms_key_wrap(pkey, out, err) : ossl_fail(err, ERR_INTERNAL, "cannot make a P-256 key");
}

static int check_rights(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, "%s", path);
    if ((st.st_mode & 077) == 0)
        return 0;
    return err_set(err, ERR_REFUSED,
                   "%s: others than its owner may use this private key (mode %03o); run chmod 600 on it",
                   path, (unsigned)st.st_mode & 0777);
}

static int load(const char *path, bool is_private, struct oms_key **out, struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(MAX_PEM_BYTES);
    if (file_read(path, &pem, err) < 0)
        return -1;
    cleanup_bio BIO *bio = BIO_new_mem_buf(buf_text(&pem), (int)pem.len);
    EVP_PKEY *pkey = !bio         ? NULL
                     : is_private ? PEM_read_bio_PrivateKey(bio, NULL, ossl_no_passphrase, NULL)
                                  : PEM_read_bio_PUBKEY(bio, NULL, ossl_no_passphrase, NULL);
    if (pem.data)
        OPENSSL_cleanse(pem.data, pem.cap);
    if (!pkey)
        return ossl_fail(err, ERR_INVALID, "%s: not a %s key in PEM%s", path,
                         is_private ? "private" : "public", is_private ? " without a passphrase" : "");
    return oms_key_wrap(pkey, out, err) < 0 ? err_prefix(err, "%s", path) : 0;
}

int oms_key_load(const char *path, struct oms_key **out, struct err *err)
{
    cleanup_oms_key struct oms_key *key = NULL;
    if (load(path, true, &key, err) < 0 || check_rights(path, err) < 0)
        return -1;
    *out = TAKE_PTR(key);
    return 0;
}

int oms_public_load(const char *path, struct oms_key **out, struct err *err)
{
    return load(path, false, out, err);
}

static int save(BIO *bio, bool written, const char *path, mode_t mode, struct err *err)
{
    char *text = NULL;
    if (!written)
        return ossl_fail(err, ERR_INTERNAL, "cannot write the key as PEM");
    long len = BIO_get_mem_data(bio, &text);
    if (file_create(path, text, (size_t)len, mode, err) == 0)
        return 0;
    return err->code == ERR_EXISTS
               ? err_set(err, ERR_EXISTS, "%s: exists already, and keys are never overwritten", path)
               : -1;
}

int oms_key_save(const struct oms_key *key, const char *private_path, const char *public_path,
                 struct err *err)
{
    cleanup_bio BIO *secret = BIO_new(BIO_s_secmem());
    cleanup_bio BIO *open = BIO_new(BIO_s_mem());
    if (!secret || !open)
        return err_no_memory(err);
    if (file_exists(public_path))
        return err_set(err, ERR_EXISTS, "%s: exists already, and keys are never overwritten", public_path);
    if (save(secret, PEM_write_bio_PKCS8PrivateKey(secret, key->pkey, NULL, NULL, 0, NULL, NULL) == 1,
             private_path, 0600, err) < 0)
        return -1;
    return save(open, PEM_write_bio_PUBKEY(open, key->pkey) == 1, public_path, 0644, err);
}

void oms_key_free(struct oms_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

const char *oms_key_hint(const struct oms_key *key)
{
    return key->hint;
}

const char *oms_key_curve(const struct oms_key *key)
{
    return key->curve;
}
