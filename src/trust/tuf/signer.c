#include "trust/tuf/signer.h"
#include "base/buf.h"
#include "base/hex.h"
#include "sys/file.h"
#include "sys/ossl.h"
#include "trust/tuf/public.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/stat.h>

enum {
    MAX_PEM_BYTES = 16 * 1024,
    MAX_PASSPHRASE = 1024,
    RSA_BITS = 3072,
    SCRYPT_N = 16384, /* with r 8 and p 5: 16 MiB and a tenth of a second, OWASP's floor */
    SCRYPT_R = 8,
    SCRYPT_P = 5,
    SALT_BYTES = 16,
};

struct tuf_signer {
    EVP_PKEY *pkey;
    struct tuf_key public_half;
};

void tuf_signer_free(struct tuf_signer *signer)
{
    if (!signer)
        return;
    EVP_PKEY_free(signer->pkey);
    free(signer->public_half.id);
    free(signer->public_half.public_text);
    free(signer);
}

const struct tuf_key *tuf_signer_public(const struct tuf_signer *signer)
{
    return &signer->public_half;
}

/* ---- public halves ---- */

static char *ed25519_text(const EVP_PKEY *pkey)
{
    uint8_t raw[32];
    size_t len = sizeof raw;
    char *text = mem_zalloc(65, 1);
    if (text && EVP_PKEY_get_raw_public_key(pkey, raw, &len) == 1 && len == sizeof raw)
        hex_encode(raw, sizeof raw, text);
    return text;
}

static char *pem_text(const EVP_PKEY *pkey)
{
    char *data = NULL, *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && PEM_write_bio_PUBKEY(bio, pkey) == 1) {
        long len = BIO_get_mem_data(bio, &data);
        text = mem_strndup(data, (size_t)len);
    }
    BIO_free(bio);
    return text;
}

/* Takes `pkey` in any case. */
static int wrap(EVP_PKEY *pkey, struct tuf_signer **out, struct err *err)
{
    char id[65];
    cleanup_tuf_signer struct tuf_signer *signer = mem_zalloc(1, sizeof *signer);
    if (!signer) {
        EVP_PKEY_free(pkey);
        return err_no_memory(err);
    }
    struct tuf_key *half = &signer->public_half;
    signer->pkey = pkey;
    half->scheme = tuf_pkey_scheme(pkey);
    if (half->scheme == TUF_SCHEME_UNKNOWN)
        return err_set(err, ERR_INVALID,
                       "not a key that can sign here; use Ed25519, ECDSA P-256 or RSA of 2048 to 8192 bits");
    half->public_text = half->scheme == TUF_ED25519 ? ed25519_text(pkey) : pem_text(pkey);
    if (!half->public_text)
        return ossl_fail(err, ERR_INTERNAL, "cannot write the public key");
    if (tuf_key_id(half->scheme, half->public_text, id, err) < 0)
        return -1;
    half->id = mem_strdup(id);
    if (!half->id)
        return err_no_memory(err);
    *out = TAKE_PTR(signer);
    return 0;
}

int tuf_signer_generate(enum tuf_scheme scheme, struct tuf_signer **out, struct err *err)
{
    EVP_PKEY *pkey = NULL;
    if (scheme == TUF_ED25519)
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else if (scheme == TUF_ECDSA_P256)
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    else if (scheme == TUF_RSA_PSS)
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
    else
        return err_set(err, ERR_INVALID, "no keys are made for this scheme");
    return pkey ? wrap(pkey, out, err) : ossl_fail(err, ERR_INTERNAL, "cannot make a key");
}

/* ---- files ---- */

struct passphrase {
    const char *text; /* NULL: none */
    bool asked;       /* the file is encrypted */
};

static int give_passphrase(char *buffer, int size, int writing, void *arg)
{
    struct passphrase *passphrase = arg;
    size_t len = passphrase->text ? strlen(passphrase->text) : 0;
    (void)writing;
    passphrase->asked = true;
    if (!passphrase->text || len > (size_t)size)
        return -1;
    memcpy(buffer, passphrase->text, len);
    return (int)len;
}

static int parse(const struct buf *pem, const char *text, struct tuf_signer **out, struct err *err)
{
    struct passphrase passphrase = {.text = text};
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    if (!bio)
        return err_no_memory(err);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &passphrase);
    BIO_free(bio);
    if (pkey)
        return wrap(pkey, out, err);
    ERR_clear_error();
    if (passphrase.asked && !text)
        return err_set(err, ERR_DENIED,
                       "the key is encrypted and there is no passphrase; give MUSTER_PASSPHRASE_FILE");
    if (passphrase.asked)
        return err_set(err, ERR_DENIED, "the passphrase is wrong, or the file is damaged");
    return err_set(err, ERR_INVALID, "not a private key in PEM");
}

static int check_rights(const char *path, struct err *err)
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

int tuf_signer_load(const char *pem_path, const char *passphrase, struct tuf_signer **out, struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(MAX_PEM_BYTES);
    cleanup_tuf_signer struct tuf_signer *signer = NULL;
    if (file_read(pem_path, &pem, err) < 0)
        return -1;
    int rc = check_rights(pem_path, err) < 0 ? -1 : parse(&pem, passphrase, &signer, err);
    if (pem.data)
        OPENSSL_cleanse(pem.data, pem.cap);
    if (rc < 0)
        return err_prefix(err, "%s", pem_path);
    *out = TAKE_PTR(signer);
    return 0;
}

/* PBES2: scrypt, then AES-256-CBC. */
static bool write_encrypted(BIO *bio, const EVP_PKEY *pkey, const char *passphrase)
{
    uint8_t salt[SALT_BYTES];
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(pkey);
    X509_ALGOR *how = NULL;
    X509_SIG *sealed = NULL;
    if (plain && RAND_bytes(salt, sizeof salt) == 1)
        how = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt, sizeof salt, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    if (how)
        sealed = PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), plain, how);
    if (!sealed)
        X509_ALGOR_free(how);
    bool good = sealed && PEM_write_bio_PKCS8(bio, sealed) == 1;
    X509_SIG_free(sealed);
    PKCS8_PRIV_KEY_INFO_free(plain);
    return good;
}

int tuf_signer_save(const struct tuf_signer *signer, const char *pem_path, const char *passphrase,
                    struct err *err)
{
    if (passphrase && (!*passphrase || strlen(passphrase) > MAX_PASSPHRASE))
        return err_set(err, ERR_INVALID, "a passphrase has 1 to %d bytes", MAX_PASSPHRASE);
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    int rc;
    bool good = bio && (passphrase ? write_encrypted(bio, signer->pkey, passphrase)
                                   : PEM_write_bio_PKCS8PrivateKey(bio, signer->pkey, NULL, NULL, 0, NULL,
                                                                   NULL) == 1);
    if (good) {
        long len = BIO_get_mem_data(bio, &text);
        rc = file_create(pem_path, text, (size_t)len, 0600, err);
    } else {
        rc = ossl_fail(err, ERR_INTERNAL, "cannot write the key as PEM");
    }
    BIO_free(bio); /* secure memory is wiped */
    if (rc < 0 && err->code == ERR_EXISTS)
        return err_set(err, ERR_EXISTS,
                       "%s: exists already, and keys are never overwritten; move it away first", pem_path);
    return rc;
}

/* ---- signing ---- */

static int sign(const struct tuf_signer *signer, const void *data, size_t len, struct tuf_signature *out,
                struct err *err)
{
    enum tuf_scheme scheme = signer->public_half.scheme;
    EVP_PKEY_CTX *key_ctx = NULL; /* belongs to ctx */
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const char *digest = scheme == TUF_ED25519 ? NULL : "SHA256";
    bool good = ctx && EVP_DigestSignInit_ex(ctx, &key_ctx, digest, NULL, NULL, signer->pkey, NULL) == 1 &&
                tuf_pkey_padding(key_ctx, scheme, RSA_PSS_SALTLEN_DIGEST) &&
                EVP_DigestSign(ctx, out->sig, &out->len, data, len) == 1;
    EVP_MD_CTX_free(ctx);
    return good ? 0 : ossl_fail(err, ERR_INTERNAL, "cannot sign");
}

int tuf_signer_sign(const struct tuf_signer *signer, const void *data, size_t len, struct tuf_signature *out,
                    struct err *err)
{
    struct tuf_signature made = {.len = (size_t)EVP_PKEY_get_size(signer->pkey)};
    made.sig = mem_zalloc(made.len, 1);
    made.keyid = mem_strdup(signer->public_half.id);
    int rc = made.sig && made.keyid ? sign(signer, data, len, &made, err) : err_no_memory(err);
    if (rc == 0) {
        *out = made;
        return 0;
    }
    free(made.sig);
    free(made.keyid);
    return -1;
}
