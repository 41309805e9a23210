#include "sys/tls.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sys/device_key.h"
#include "sys/file.h"
#include "sys/ossl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

enum { MAX_PEM_BYTES = 256 * 1024 };

/* Calls `use` for each certificate of a PEM text, in order. At least one is wanted. */
static int each_cert(const char *pem, int (*use)(SSL_CTX *ctx, X509 *cert, int index), SSL_CTX *ctx,
                     struct err *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    if (!bio)
        return err_no_memory(err);
    int count = 0, good = 1;
    for (X509 *cert; good && (cert = PEM_read_bio_X509(bio, NULL, ossl_no_passphrase, NULL)); count++) {
        good = use(ctx, cert, count);
        X509_free(cert);
    }
    BIO_free(bio);
    if (!good)
        return ossl_fail(err, ERR_INVALID, "certificate not accepted");
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (count == 0 || !at_end)
        return ossl_fail(err, ERR_INVALID, "not a certificate in PEM");
    ERR_clear_error();
    return 0;
}

static int use_own_cert(SSL_CTX *ctx, X509 *cert, int index)
{
    return index == 0 ? SSL_CTX_use_certificate(ctx, cert) : SSL_CTX_add1_chain_cert(ctx, cert) == 1;
}

static int use_anchor(SSL_CTX *ctx, X509 *cert, int index)
{
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert);
}

static int use_client_anchor(SSL_CTX *ctx, X509 *cert, int index)
{
    return use_anchor(ctx, cert, index) && SSL_CTX_add_client_CA(ctx, cert);
}

static int use_key(SSL_CTX *ctx, const char *pem, struct err *err)
{
    EVP_PKEY *key = device_key_from_pem(pem, strlen(pem));
    if (!key)
        return ossl_fail(err, ERR_INVALID, "not a private key in PEM without a passphrase");
    int good = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    return good ? 0 : ossl_fail(err, ERR_CONFLICT, "certificate and key do not belong together");
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets hold the sessions */
    return ctx;
}

static void set_server_options(SSL_CTX *ctx)
{
    static const unsigned char id[] = "muster"; /* without one, resumption with client certificates fails */
    SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
}

static int fill_server(SSL_CTX *ctx, const char *cert, const char *key, const char *client_ca,
                       struct err *err)
{
    set_server_options(ctx);
    if (each_cert(cert, use_own_cert, ctx, err) < 0 || use_key(ctx, key, err) < 0)
        return -1;
    if (!client_ca)
        return 0;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return each_cert(client_ca, use_client_anchor, ctx, err) < 0 ? err_prefix(err, "client CA") : 0;
}

static int server_context_pem(const char *cert_pem, const char *key_pem, const char *client_ca_pem,
                              SSL_CTX **out, struct err *err)
{
    SSL_CTX *ctx = new_context(TLS_server_method());
    if (!ctx)
        return ossl_fail(err, ERR_INTERNAL, "cannot make a TLS context");
    if (fill_server(ctx, cert_pem, key_pem, client_ca_pem, err) < 0) {
        SSL_CTX_free(ctx);
        return -1;
    }
    *out = ctx;
    return 0;
}

/* ---- client certificates that are over ---- */

static void free_grace(void *parent, void *grace_s, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    free(grace_s);
}

static int grace_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_grace);
    return index;
}

static int64_t grace_of(X509_STORE_CTX *check)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx());
    const int64_t *grace_s = ssl ? SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), grace_index()) : NULL;
    return grace_s ? *grace_s : 0;
}

/* Not "is it over?", which OpenSSL has said, but "since how long?". */
static bool ended_within(const X509 *cert, int64_t grace_s)
{
    time_t then = (time_t)(clock_wall_ms() / 1000 - grace_s);
    return cert && X509_cmp_time(X509_get0_notAfter(cert), &then) > 0;
}

/* Called for each thing that is wrong, one after the other: each has to be forgiven by itself, and only one is. */
static int forgive_age(int good, X509_STORE_CTX *check)
{
    if (good)
        return 1;
    bool own = X509_STORE_CTX_get_error_depth(check) == 0;
    bool over = X509_STORE_CTX_get_error(check) == X509_V_ERR_CERT_HAS_EXPIRED;
    if (!own || !over || !ended_within(X509_STORE_CTX_get_current_cert(check), grace_of(check)))
        return 0;
    X509_STORE_CTX_set_error(check, X509_V_OK);
    return 1;
}

int tls_server_allow_expired(struct ssl_ctx_st *ctx, int64_t grace_s, struct err *err)
{
    int index = grace_index();
    int64_t *kept = mem_zalloc(1, sizeof *kept);
    if (!kept)
        return err_no_memory(err);
    *kept = grace_s;
    if (index < 0 || SSL_CTX_set_ex_data(ctx, index, kept) != 1) {
        free(kept);
        return ossl_fail(err, ERR_INTERNAL, "cannot keep the grace of certificates");
    }
    SSL_CTX_set_verify(ctx, SSL_CTX_get_verify_mode(ctx), forgive_age);
    return 0;
}

static int read_pem(const char *path, struct buf *out, struct err *err)
{
    return path ? file_read(path, out, err) : 0;
}

static void wipe(struct buf *secret)
{
    if (secret->data)
        OPENSSL_cleanse(secret->data, secret->cap);
}

int tls_server_context(const char *cert_path, const char *key_path, const char *client_ca_path,
                       struct ssl_ctx_st **out, struct err *err)
{
    cleanup_buf struct buf cert = BUF_INIT(MAX_PEM_BYTES);
    cleanup_buf struct buf key = BUF_INIT(MAX_PEM_BYTES);
    cleanup_buf struct buf ca = BUF_INIT(MAX_PEM_BYTES);
    if (read_pem(cert_path, &cert, err) < 0 || read_pem(client_ca_path, &ca, err) < 0 ||
        read_pem(key_path, &key, err) < 0)
        return -1;
    int rc =
        server_context_pem(buf_text(&cert), buf_text(&key), client_ca_path ? buf_text(&ca) : NULL, out, err);
    wipe(&key);
    return rc < 0 ? err_prefix(err, "TLS with %s", cert_path) : 0;
}

static int fill_client(SSL_CTX *ctx, const char *ca, const char *cert, const char *key, struct err *err)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (each_cert(ca, use_anchor, ctx, err) < 0)
        return err_prefix(err, "CA");
    if (!cert)
        return 0;
    return each_cert(cert, use_own_cert, ctx, err) < 0 ? -1 : use_key(ctx, key, err);
}

static int client_context_pem(const char *ca, const char *cert, const char *key, SSL_CTX **out,
                              struct err *err)
{
    SSL_CTX *ctx = new_context(TLS_client_method());
    if (!ctx)
        return ossl_fail(err, ERR_INTERNAL, "cannot make a TLS context");
    if (fill_client(ctx, ca, cert, key, err) < 0) {
        SSL_CTX_free(ctx);
        return -1;
    }
    *out = ctx;
    return 0;
}

int tls_client_context(const char *ca_path, const char *cert_path, const char *key_path,
                       struct ssl_ctx_st **out, struct err *err)
{
    cleanup_buf struct buf ca = BUF_INIT(MAX_PEM_BYTES);
    cleanup_buf struct buf cert = BUF_INIT(MAX_PEM_BYTES);
    cleanup_buf struct buf key = BUF_INIT(MAX_PEM_BYTES);
    if (read_pem(ca_path, &ca, err) < 0 || read_pem(cert_path, &cert, err) < 0 ||
        read_pem(key_path, &key, err) < 0)
        return -1;
    int rc = client_context_pem(buf_text(&ca), cert_path ? buf_text(&cert) : NULL, buf_text(&key), out, err);
    wipe(&key);
    return rc < 0 ? err_prefix(err, "TLS with %s", cert_path ? cert_path : ca_path) : 0;
}

void tls_context_free(struct ssl_ctx_st *ctx)
{
    SSL_CTX_free(ctx);
}
