#include "trust/incident.h"

#include "base/buf.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/incident_inside.h"
#include "trust/x509.h"

#include <openssl/x509.h>
#include <string.h>

enum { MAX_PEM_BYTES = 64 << 10, CHUNK_BYTES = 1 << 20 };

struct incident_signer {
    EVP_PKEY *key;
    char *certificate; /* PEM */
    char name[64];
};

struct incident_writer {
    struct incident_sink sink;
    const struct incident_signer *signer;
    struct mcap_writer *mcap;
    struct hash *hash; /* of the part, the chain before it included */
    uint64_t part, from;
};

MUSTER_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

void incident_signer_free(struct incident_signer *signer)
{
    if (!signer)
        return;
    EVP_PKEY_free(signer->key);
    free(signer->certificate);
    free(signer);
}

static int load_pem(const char *path, struct buf *out, struct err *err)
{
    *out = (struct buf)BUF_INIT(MAX_PEM_BYTES);
    return file_read(path, out, err);
}

static int take_certificate(struct incident_signer *signer, const struct buf *pem, struct err *err)
{
    cleanup_x509 X509 *cert = x509_from_pem(buf_text(pem), pem->len);
    if (!cert || X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, signer->name,
                                           sizeof signer->name) <= 0)
        return ossl_fail(err, ERR_INVALID, "it is no certificate");
    if (X509_check_private_key(cert, signer->key) != 1)
        return ossl_fail(err, ERR_INVALID, "it is not the certificate of the device key");
    signer->certificate = x509_to_pem(cert);
    return signer->certificate ? 0 : err_no_memory(err);
}

int incident_signer_load(const char *key_path, const char *cert_path, struct incident_signer **out,
                         struct err *err)
{
    cleanup_incident_signer struct incident_signer *signer = mem_zalloc(1, sizeof *signer);
    cleanup_buf struct buf key = BUF_INIT(1), cert = BUF_INIT(1);
    if (!signer)
        return err_no_memory(err);
    if (load_pem(key_path, &key, err) < 0 || load_pem(cert_path, &cert, err) < 0)
        return -1;
    signer->key = x509_key_from_pem(buf_text(&key), key.len);
    OPENSSL_cleanse(key.data, key.cap);
    if (!signer->key)
        return ossl_fail(err, ERR_INVALID, "%s: it is no private key", key_path);
    if (take_certificate(signer, &cert, err) < 0)
        return err_prefix(err, "%s", cert_path);
    *out = TAKE_PTR(signer);
    return 0;
}

const char *incident_signer_name(const struct incident_signer *signer)
{
    return signer->name;
}

static int sign(const struct incident_signer *signer, const struct digest *chain, struct buf *out,
                struct err *err)
{
    struct incident_signed text = incident_signed_text(chain);
    __attribute__((cleanup(EVP_MD_CTX_freep))) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = 0;
    const unsigned char *bytes = (const unsigned char *)text.text;
    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, signer->key) != 1 ||
        EVP_DigestSign(ctx, NULL, &len, bytes, INCIDENT_SIGNED_BYTES) != 1)
        return ossl_fail(err, ERR_INTERNAL, "the device key cannot sign");
    if (buf_reserve(out, len, err) < 0)
        return -1;
    if (EVP_DigestSign(ctx, out->data + out->len, &len, bytes, INCIDENT_SIGNED_BYTES) != 1)
        return ossl_fail(err, ERR_INTERNAL, "the device key cannot sign");
    out->len += len;
    return 0;
}

static void number_at(uint8_t *out, uint64_t value)
{
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

/* What the sink sees of a seal is hashed as well, but belongs to no part: the hash begins anew behind it. */
static int seal(struct incident_writer *w, struct mcap_writer *mcap, bool last, struct err *err)
{
    cleanup_buf struct buf record = BUF_INIT(1024);
    struct digest chain = hash_finish(w->hash);
    uint8_t head[INCIDENT_SEAL_BYTES];
    number_at(head, w->part++);
    number_at(head + 8, w->from);
    memcpy(head + 16, chain.bytes, sizeof chain.bytes);
    if (buf_put(&record, head, sizeof head, err) < 0)
        return -1;
    if (last && w->signer && sign(w->signer, &chain, &record, err) < 0)
        return -1;
    if (mcap_writer_private(mcap, last ? INCIDENT_LAST_SEAL : INCIDENT_SEAL, record.data, record.len, err) <
        0)
        return -1;
    w->from = mcap_writer_offset(mcap);
    hash_finish(w->hash);
    hash_update(w->hash, chain.bytes, sizeof chain.bytes);
    return 0;
}

static int after_chunk(struct mcap_writer *mcap, void *arg, struct err *err)
{
    return seal(arg, mcap, false, err);
}

static int before_footer(struct mcap_writer *mcap, void *arg, struct err *err)
{
    return seal(arg, mcap, true, err);
}

static int on_bytes(const void *data, size_t len, void *arg, struct err *err)
{
    struct incident_writer *w = arg;
    hash_update(w->hash, data, len);
    return w->sink.write(data, len, w->sink.arg, err);
}

struct number_text {
    char text[32];
};

static struct number_text number(int64_t value)
{
    struct number_text out;
    snprintf(out.text, sizeof out.text, "%lld", (long long)value);
    return out;
}

static int write_facts(struct mcap_writer *mcap, const struct incident_facts *facts, struct err *err)
{
    struct number_text severity = number(facts->severity), time = number(facts->time_ms),
                       from = number(facts->from_ms), until = number(facts->until_ms),
                       frames = number((int64_t)facts->frames), verdicts = number((int64_t)facts->verdicts),
                       notices = number((int64_t)facts->notices),
                       lost_f = number((int64_t)facts->lost_frames),
                       lost_v = number((int64_t)facts->lost_verdicts), rate;
    snprintf(rate.text, sizeof rate.text, "%.3f", facts->frame_rate);
    struct digest_text release = digest_format(&facts->release);
    const struct mcap_pair pairs[] = {
        {"id", facts->id},
        {"robot", facts->robot},
        {"cause", facts->cause},
        {"text", facts->text},
        {"who", facts->who},
        {"reason", facts->reason},
        {"severity", severity.text},
        {"time_ms", time.text},
        {"from_ms", from.text},
        {"until_ms", until.text},
        {"release", digest_is_zero(&facts->release) ? "" : release.text},
        {"frames", frames.text},
        {"verdicts", verdicts.text},
        {"notices", notices.text},
        {"lost_frames", lost_f.text},
        {"lost_verdicts", lost_v.text},
        {"frame_rate", rate.text},
    };
    return mcap_writer_metadata(mcap, INCIDENT_FACTS, pairs, ARRAY_LEN(pairs), err);
}

int incident_begin(const struct incident_sink *sink, const struct incident_facts *facts,
                   const struct incident_signer *signer, struct incident_writer **out, struct err *err)
{
    cleanup_incident_writer struct incident_writer *w = mem_zalloc(1, sizeof *w);
    if (!w)
        return err_no_memory(err);
    w->sink = *sink;
    w->signer = signer;
    w->hash = hash_new();
    if (!w->hash)
        return err_no_memory(err);
    struct digest first = hash_bytes(INCIDENT_DOMAIN, sizeof INCIDENT_DOMAIN - 1);
    hash_update(w->hash, first.bytes, sizeof first.bytes);
    struct mcap_options options = {.sink = on_bytes,
                                   .after_chunk = after_chunk,
                                   .before_footer = before_footer,
                                   .arg = w,
                                   .library = "muster-recorder",
                                   .chunk_bytes = CHUNK_BYTES};
    if (mcap_writer_new(&options, &w->mcap, err) < 0 || write_facts(w->mcap, facts, err) < 0)
        return -1;
    if (signer && mcap_writer_attach(w->mcap, INCIDENT_CERTIFICATE, "application/x-pem-file",
                                     (uint64_t)facts->time_ms * 1000000, signer->certificate,
                                     strlen(signer->certificate), err) < 0)
        return -1;
    *out = TAKE_PTR(w);
    return 0;
}

struct mcap_writer *incident_mcap(struct incident_writer *w)
{
    return w->mcap;
}

int incident_finish(struct incident_writer *w, struct err *err)
{
    return mcap_writer_finish(w->mcap, err);
}

void incident_writer_free(struct incident_writer *w)
{
    if (!w)
        return;
    mcap_writer_free(w->mcap);
    hash_free(w->hash);
    free(w);
}
