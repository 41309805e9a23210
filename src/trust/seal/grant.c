#include "trust/seal/grant.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/seal/inside.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { MAX_PEM_BYTES = 64 << 10, SECRET_BYTES = 32, INFO_MAX = 256 };

MUSTER_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
MUSTER_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
MUSTER_CLEANUP(BIO *, BIO_free_all)
MUSTER_CLEANUP(X509 *, X509_free)
#define cleanup_x509 __attribute__((cleanup(X509_freep)))
#define cleanup_pkey __attribute__((cleanup(EVP_PKEY_freep)))
#define cleanup_pkey_ctx __attribute__((cleanup(EVP_PKEY_CTX_freep)))
#define cleanup_bio __attribute__((cleanup(BIO_free_allp)))

struct recipient {
    EVP_PKEY *pkey;
    struct digest digest;
};

static bool on_p256(const EVP_PKEY *pkey)
{
    char group[32];
    return EVP_PKEY_is_a(pkey, "EC") &&
           EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) == 1 &&
           str_eq(group, "prime256v1");
}

static bool spki_digest(const EVP_PKEY *pkey, struct digest *out)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(pkey, &der);
    if (len <= 0)
        return false;
    *out = hash_bytes(der, (size_t)len);
    OPENSSL_free(der);
    return true;
}

static EVP_PKEY *read_public(const void *pem, size_t len)
{
    cleanup_bio BIO *bio = BIO_new_mem_buf(pem, (int)len);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, ossl_no_passphrase, NULL) : NULL;
    if (cert) {
        EVP_PKEY *pkey = X509_get_pubkey(cert);
        X509_free(cert);
        return pkey;
    }
    ERR_clear_error();
    cleanup_bio BIO *again = BIO_new_mem_buf(pem, (int)len);
    return again ? PEM_read_bio_PUBKEY(again, NULL, ossl_no_passphrase, NULL) : NULL;
}

int recipient_from_pem(const void *pem, size_t len, struct recipient **out, struct err *err)
{
    cleanup_pkey EVP_PKEY *pkey = len <= MAX_PEM_BYTES ? read_public(pem, len) : NULL;
    if (!pkey)
        return ossl_fail(err, ERR_INVALID, "no certificate and no public key in PEM");
    if (!on_p256(pkey))
        return err_set(err, ERR_UNSUPPORTED, "the robot's key is not on P-256");
    struct recipient *recipient = mem_zalloc(1, sizeof *recipient);
    if (!recipient)
        return err_no_memory(err);
    if (!spki_digest(pkey, &recipient->digest)) {
        free(recipient);
        return ossl_fail(err, ERR_INTERNAL, "cannot write the public key");
    }
    recipient->pkey = TAKE_PTR(pkey);
    *out = recipient;
    return 0;
}

static X509 *read_certificate(const void *pem, size_t len)
{
    cleanup_bio BIO *bio = len <= MAX_PEM_BYTES ? BIO_new_mem_buf(pem, (int)len) : NULL;
    return bio ? PEM_read_bio_X509(bio, NULL, ossl_no_passphrase, NULL) : NULL;
}

static bool is_issued_for(X509 *cert, X509 *ca, const char *robot)
{
    char name[80] = "";
    EVP_PKEY *key = X509_get0_pubkey(ca);
    return key && X509_check_issued(ca, cert) == X509_V_OK && X509_verify(cert, key) == 1 &&
           X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name) > 0 &&
           str_eq(name, robot);
}

int recipient_from_certificate(const void *pem, size_t len, const void *ca_pem, size_t ca_len,
                               const char *robot, struct recipient **out, struct err *err)
{
    cleanup_x509 X509 *cert = read_certificate(pem, len);
    cleanup_x509 X509 *ca = read_certificate(ca_pem, ca_len);
    if (!cert || !ca)
        return ossl_fail(err, ERR_INVALID, "no certificate in PEM");
    if (!is_issued_for(cert, ca, robot)) {
        ERR_clear_error();
        return err_set(err, ERR_UNTRUSTED, "the certificate was not issued for %s by the fleet's CA", robot);
    }
    return recipient_from_pem(pem, len, out, err);
}

void recipient_free(struct recipient *recipient)
{
    if (!recipient)
        return;
    EVP_PKEY_free(recipient->pkey);
    free(recipient);
}

void recipient_digest(const struct recipient *recipient, struct digest *out)
{
    *out = recipient->digest;
}

static size_t make_info(const struct grants *grants, const struct grant *grant, uint8_t out[INFO_MAX])
{
    static const char label[] = "muster-grant-v1";
    const struct {
        const void *data;
        size_t len;
    } parts[] = {{label, sizeof label},
                 {grant->ephemeral, sizeof grant->ephemeral},
                 {grant->recipient.bytes, sizeof grant->recipient.bytes},
                 {grants->release.bytes, sizeof grants->release.bytes},
                 {grants->key_id, sizeof grants->key_id},
                 {grant->robot, strlen(grant->robot)}};
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        memcpy(out + used, parts[i].data, parts[i].len);
        used += parts[i].len;
    }
    return used;
}
_Static_assert(16 + GRANT_POINT_BYTES + 3 * 32 + sizeof((struct grant *)0)->robot <= INFO_MAX,
               "the info fits");

/* The key that wraps: of our private and the other's public half. */
static int agree(EVP_PKEY *ours, EVP_PKEY *theirs, const struct grants *grants, const struct grant *grant,
                 struct file_key *out, struct err *err)
{
    uint8_t secret[SECRET_BYTES], info[INFO_MAX];
    size_t len = sizeof secret;
    cleanup_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ours, NULL);
    if (!ctx || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, theirs) != 1 ||
        EVP_PKEY_derive(ctx, secret, &len) != 1 || len != sizeof secret)
        return ossl_fail(err, ERR_UNTRUSTED, "the keys do not go together");
    int result = seal_hkdf(secret, len, NULL, 0, info, make_info(grants, grant, info), out->bytes, err);
    OPENSSL_cleanse(secret, sizeof secret);
    return result;
}

/* AES-256 key wrap (RFC 3394) of a content key, or back. */
static bool wrap(bool encrypt, const struct file_key *with, const uint8_t *in, size_t in_len, uint8_t *out,
                 size_t out_len)
{
    cleanup_cipher EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int done = 0, rest = 0;
    if (!ctx)
        return false;
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    return EVP_CipherInit_ex(ctx, EVP_aes_256_wrap(), NULL, with->bytes, NULL, encrypt) == 1 &&
           EVP_CipherUpdate(ctx, out, &done, in, (int)in_len) == 1 &&
           EVP_CipherFinal_ex(ctx, out + done, &rest) == 1 && (size_t)done + (size_t)rest == out_len;
}

int grant_wrap(const struct grants *grants, const char *robot, const struct recipient *recipient,
               const struct seal_key *key, struct grant *out, struct err *err)
{
    cleanup_pkey EVP_PKEY *ephemeral = EVP_EC_gen("P-256");
    cleanup_file_key struct file_key with = {{0}};
    size_t len = 0;
    *out = (struct grant){.recipient = recipient->digest};
    str_copy(out->robot, sizeof out->robot, robot);
    if (!ephemeral ||
        EVP_PKEY_get_octet_string_param(ephemeral, OSSL_PKEY_PARAM_PUB_KEY, out->ephemeral,
                                        sizeof out->ephemeral, &len) != 1 ||
        len != sizeof out->ephemeral)
        return ossl_fail(err, ERR_INTERNAL, "cannot make a key");
    if (agree(ephemeral, recipient->pkey, grants, out, &with, err) < 0)
        return -1;
    if (wrap(true, &with, key->bytes, sizeof key->bytes, out->wrapped, sizeof out->wrapped))
        return 0;
    return ossl_fail(err, ERR_INTERNAL, "cannot wrap the content key");
}

/* A point that is not on the curve is refused by OpenSSL. */
static EVP_PKEY *read_point(const uint8_t point[GRANT_POINT_BYTES])
{
    EVP_PKEY *pkey = NULL;
    char group[] = "P-256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                                             (void *)(uintptr_t)point, GRANT_POINT_BYTES),
                           OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

static int read_private(const char *path, EVP_PKEY **out, struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(MAX_PEM_BYTES);
    if (file_read(path, &pem, err) < 0)
        return -1;
    if (strstr(buf_text(&pem), "BEGIN TSS2"))
        return err_set(
            err, ERR_UNSUPPORTED,
            "%s: the device key is in a TPM, where it only signs; sealed models want one in a file", path);
    cleanup_bio BIO *bio = BIO_new_mem_buf(buf_text(&pem), (int)pem.len);
    *out = bio ? PEM_read_bio_PrivateKey(bio, NULL, ossl_no_passphrase, NULL) : NULL;
    if (pem.data)
        OPENSSL_cleanse(pem.data, pem.cap);
    return *out ? 0 : ossl_fail(err, ERR_INVALID, "%s: no private key in PEM", path);
}

static int unwrap(const struct grants *grants, const struct grant *grant, EVP_PKEY *ours,
                  struct seal_key *out, struct err *err)
{
    cleanup_pkey EVP_PKEY *theirs = read_point(grant->ephemeral);
    cleanup_file_key struct file_key with = {{0}};
    uint8_t id[32];
    if (!theirs)
        return ossl_fail(err, ERR_UNTRUSTED, "the grant's key is no point of P-256");
    if (agree(ours, theirs, grants, grant, &with, err) < 0)
        return -1;
    if (!wrap(false, &with, grant->wrapped, sizeof grant->wrapped, out->bytes, sizeof out->bytes)) {
        ERR_clear_error();
        return err_set(err, ERR_UNTRUSTED, "the grant does not open with this robot's key");
    }
    if (seal_key_id(out, id, err) < 0)
        return -1;
    return CRYPTO_memcmp(id, grants->key_id, sizeof id) == 0
               ? 0
               : err_set(err, ERR_UNTRUSTED, "the grant holds another content key");
}

int grant_unwrap(const struct grants *grants, const char *robot, const char *key_path, struct seal_key *out,
                 struct err *err)
{
    const struct grant *grant = grants_find(grants, robot);
    cleanup_pkey EVP_PKEY *ours = NULL;
    struct digest digest;
    if (!grant)
        return err_set(err, ERR_NOT_FOUND,
                       "%s has no grant for these sealed weights; give it one with muster grant", robot);
    if (read_private(key_path, &ours, err) < 0)
        return -1;
    if (!spki_digest(ours, &digest) || !digest_equal(&digest, &grant->recipient))
        return err_set(err, ERR_UNTRUSTED, "the grant is for another key than %s has now; grant it anew",
                       robot);
    if (unwrap(grants, grant, ours, out, err) == 0)
        return 0;
    seal_key_wipe(out);
    return -1;
}
