#define OPENSSL_SUPPRESS_DEPRECATED /* EC_KEY_METHOD has no successor but writing a provider */
#include "sys/device_key.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/ossl.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/x509.h>

static const char tpm_begin[] = "-----BEGIN TSS2 PRIVATE KEY-----";

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}
#define cleanup_bio __attribute__((cleanup(free_bio)))

/* ---- the TPM's own corner of OpenSSL ---- */

static struct {
    OSSL_LIB_CTX *lib; /* NULL: not needed yet, or it is not there */
    EC_KEY_METHOD *method;
    int key_slot;
    char *last_pem; /* the same key again is the same object of the TPM, which has room for three */
    EVP_PKEY *last;
} tpm;

/* The method's sign: `ec` carries the TPM's key. */
static int sign_in_tpm(int type, const unsigned char *digest, int digest_len, unsigned char *out,
                       unsigned int *out_len, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
    EVP_PKEY *key = EC_KEY_get_ex_data(ec, tpm.key_slot);
    EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new_from_pkey(tpm.lib, key, "provider=tpm2") : NULL;
    size_t len = (size_t)ECDSA_size(ec);
    int good = ctx && EVP_PKEY_sign_init(ctx) > 0 && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
               EVP_PKEY_sign(ctx, out, &len, digest, (size_t)digest_len) > 0;
    EVP_PKEY_CTX_free(ctx);
    *out_len = good ? (unsigned int)len : 0;
    return good;
}

static void free_slot(void *parent, void *key, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    EVP_PKEY_free(key);
}

static int open_tpm(void)
{
    if (tpm.lib)
        return 0;
    OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
    tpm.method = tpm.method ? tpm.method : EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    tpm.key_slot = tpm.key_slot ? tpm.key_slot : EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, free_slot);
    if (!lib || !tpm.method || tpm.key_slot <= 0 || !OSSL_PROVIDER_load(lib, "tpm2") ||
        !OSSL_PROVIDER_load(lib, "default")) {
        OSSL_LIB_CTX_free(lib);
        return -1;
    }
    EC_KEY_METHOD_set_sign(tpm.method, sign_in_tpm, NULL, NULL);
    tpm.lib = lib;
    return 0;
}

/* An EC key of everybody's own provider with the public half, that signs by the TPM. Takes `inside`. */
static EVP_PKEY *wrap(EVP_PKEY *inside)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(inside, &der);
    const unsigned char *at = der;
    EVP_PKEY *public = len > 0 ? d2i_PUBKEY(NULL, &at, len) : NULL;
    EC_KEY *ec = public ? EVP_PKEY_get1_EC_KEY(public) : NULL;
    EVP_PKEY *out = ec ? EVP_PKEY_new() : NULL;
    OPENSSL_free(der);
    EVP_PKEY_free(public);
    bool good = out && EC_KEY_set_method(ec, tpm.method) && EVP_PKEY_set1_EC_KEY(out, ec);
    if (good && EC_KEY_set_ex_data(ec, tpm.key_slot, inside)) {
        EC_KEY_free(ec);
        return out;
    }
    EC_KEY_free(ec);
    EVP_PKEY_free(out);
    EVP_PKEY_free(inside);
    return NULL;
}

static EVP_PKEY *load_inside(const char *pem, size_t len)
{
    cleanup_bio BIO *bio = BIO_new_mem_buf(pem, (int)len);
    OSSL_STORE_CTX *store =
        bio ? OSSL_STORE_attach(bio, "file", tpm.lib, NULL, NULL, NULL, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = NULL;
    while (store && !key && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (!info)
            break;
        key = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
    }
    OSSL_STORE_close(store);
    return key;
}

static EVP_PKEY *load_from_tpm(const char *pem, size_t len)
{
    if (open_tpm() < 0)
        return NULL;
    if (tpm.last && strlen(tpm.last_pem) == len && memcmp(tpm.last_pem, pem, len) == 0) {
        EVP_PKEY_up_ref(tpm.last);
        return tpm.last;
    }
    EVP_PKEY *inside = load_inside(pem, len);
    EVP_PKEY *key = inside ? wrap(inside) : NULL;
    char *text = key ? mem_zalloc(len + 1, 1) : NULL;
    if (!text)
        return key;
    memcpy(text, pem, len);
    free(tpm.last_pem);
    EVP_PKEY_free(tpm.last);
    tpm.last_pem = text;
    tpm.last = key;
    EVP_PKEY_up_ref(key);
    return key;
}

/* ---- keys ---- */

struct evp_pkey_st *device_key_from_pem(const char *pem, size_t len)
{
    if (len >= sizeof tpm_begin - 1 && memcmp(pem, tpm_begin, sizeof tpm_begin - 1) == 0)
        return load_from_tpm(pem, len);
    cleanup_bio BIO *bio = BIO_new_mem_buf(pem, (int)len);
    return bio ? PEM_read_bio_PrivateKey(bio, NULL, ossl_no_passphrase, NULL) : NULL;
}

static EVP_PKEY *generate(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(tpm.lib, "EC", "provider=tpm2");
    char group[] = "P-256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                                 OSSL_PARAM_construct_end()};
    EVP_PKEY *key = NULL;
    bool good = ctx && EVP_PKEY_keygen_init(ctx) > 0 && EVP_PKEY_CTX_set_params(ctx, params) > 0 &&
                EVP_PKEY_generate(ctx, &key) > 0;
    EVP_PKEY_CTX_free(ctx);
    return good ? key : NULL;
}

static char *format(EVP_PKEY *key)
{
    unsigned char *pem = NULL;
    size_t len = 0;
    OSSL_ENCODER_CTX *ctx =
        OSSL_ENCODER_CTX_new_for_pkey(key, EVP_PKEY_KEYPAIR, "PEM", NULL, "?provider=tpm2");
    bool good = ctx && OSSL_ENCODER_to_data(ctx, &pem, &len);
    OSSL_ENCODER_CTX_free(ctx);
    char *text = good ? mem_zalloc(len + 1, 1) : NULL;
    if (text)
        memcpy(text, pem, len);
    OPENSSL_free(pem);
    return text;
}

int device_key_make_in_tpm(char **out_pem, struct err *err)
{
    if (open_tpm() < 0)
        return ossl_fail(err, ERR_UNSUPPORTED,
                         "no TPM 2.0 through OpenSSL's provider tpm2 (package tpm2-openssl)");
    EVP_PKEY *key = generate();
    *out_pem = key ? format(key) : NULL;
    EVP_PKEY_free(key);
    if (!*out_pem)
        return ossl_fail(err, ERR_UNSUPPORTED, "the TPM cannot make a P-256 key");
    if (str_starts(*out_pem, tpm_begin))
        return 0;
    free(TAKE_PTR(*out_pem)); /* never hand out a key that is not the TPM's */
    return err_set(err, ERR_UNSUPPORTED, "the TPM's provider does not write its keys as TSS2");
}
