#include "trust/incident.h"

#include "base/buf.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/ossl.h"
#include "trust/incident_inside.h"
#include "trust/x509.h"
#include "wire/mcap/reader.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <string.h>

enum { MAX_SIGNATURE_BYTES = 512, MAX_PEM_BYTES = 64 << 10 };

struct check {
    const uint8_t *data;
    struct incident_verdict *out;
    struct digest chain;
    uint64_t part, from;        /* the one that is being read */
    uint64_t data_end, offsets; /* first byte behind DataEnd; the first SummaryOffset; 0: not yet */
    bool sealed;                /* the last seal was seen */
    bool facts;
    struct mcap_slice certificate, signature;
};

MUSTER_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
MUSTER_CLEANUP(X509_STORE *, X509_STORE_free)
MUSTER_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)

/* ---- facts ---- */

static void fact_line(struct mcap_slice map, const char *key, char *out, size_t size)
{
    if (!mcap_metadata_get(map, key, out, size))
        out[0] = 0;
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
}

static int64_t fact_number(struct mcap_slice map, const char *key)
{
    char text[32];
    int64_t value = 0;
    fact_line(map, key, text, sizeof text);
    return str_to_i64(text, &value) ? value : 0;
}

static uint64_t fact_count(struct mcap_slice map, const char *key)
{
    int64_t value = fact_number(map, key);
    return value > 0 ? (uint64_t)value : 0;
}

static int take_facts(struct check *check, struct mcap_slice map, struct err *err)
{
    struct incident_facts *facts = &check->out->facts;
    char text[DIGEST_TEXT_SIZE];
    if (check->facts)
        return err_set(err, ERR_CORRUPT, "it holds the facts twice");
    check->facts = true;
    fact_line(map, "id", facts->id, sizeof facts->id);
    fact_line(map, "robot", facts->robot, sizeof facts->robot);
    fact_line(map, "cause", facts->cause, sizeof facts->cause);
    fact_line(map, "text", facts->text, sizeof facts->text);
    fact_line(map, "who", facts->who, sizeof facts->who);
    fact_line(map, "reason", facts->reason, sizeof facts->reason);
    facts->severity = (int)MIN(MAX(fact_number(map, "severity"), (int64_t)0), (int64_t)3);
    facts->time_ms = fact_number(map, "time_ms");
    facts->from_ms = fact_number(map, "from_ms");
    facts->until_ms = fact_number(map, "until_ms");
    fact_line(map, "release", text, sizeof text);
    if (!digest_parse(text, &facts->release))
        facts->release = (struct digest){0};
    facts->frames = fact_count(map, "frames");
    facts->verdicts = fact_count(map, "verdicts");
    facts->notices = fact_count(map, "notices");
    facts->lost_frames = fact_count(map, "lost_frames");
    facts->lost_verdicts = fact_count(map, "lost_verdicts");
    fact_line(map, "frame_rate", text, sizeof text);
    str_to_double(text, &facts->frame_rate);
    if (!str_is_name(facts->id, INCIDENT_ID_SIZE - 1))
        return err_set(err, ERR_CORRUPT, "its id is no name");
    return 0;
}

static int on_metadata(struct mcap_slice name, struct mcap_slice map, void *arg, struct err *err)
{
    return mcap_slice_is(name, INCIDENT_FACTS) ? take_facts(arg, map, err) : 0;
}

static int on_attachment(const struct mcap_attachment *attachment, void *arg, struct err *err)
{
    struct check *check = arg;
    if (mcap_slice_is(attachment->name, INCIDENT_CERTIFICATE))
        check->certificate = attachment->data;
    return 0;
}

/* ---- the chain ---- */

static uint64_t number_of(const uint8_t *at)
{
    uint64_t value = 0;
    for (size_t i = 8; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

static struct digest chain_of(const struct check *check, size_t until)
{
    cleanup_hash struct hash *hash = hash_new();
    if (!hash)
        return (struct digest){0};
    hash_update(hash, check->chain.bytes, sizeof check->chain.bytes);
    hash_update(hash, check->data + check->from, until - (size_t)check->from);
    return hash_finish(hash);
}

static int broken(struct check *check, size_t until, const char *how, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "part %llu (bytes %llu to %zu) %s", (unsigned long long)check->part,
                   (unsigned long long)check->from, until, how);
}

static int check_seal(struct check *check, const struct mcap_record *record, bool last, struct err *err)
{
    struct mcap_slice body = record->body;
    if (body.len < INCIDENT_SEAL_BYTES ||
        body.len > (last ? INCIDENT_SEAL_BYTES + MAX_SIGNATURE_BYTES : INCIDENT_SEAL_BYTES))
        return broken(check, record->offset, "has a damaged seal", err);
    if (number_of(body.data) != check->part)
        return broken(check, record->offset, "is missing or was moved", err);
    struct digest chain = chain_of(check, record->offset);
    if (number_of(body.data + 8) != check->from || memcmp(body.data + 16, chain.bytes, 32) != 0)
        return broken(check, record->offset, "was changed", err);
    check->chain = chain;
    check->part++;
    check->from = record->offset + MCAP_HEAD_BYTES + body.len;
    check->out->parts = check->part;
    check->sealed = last;
    check->signature = (struct mcap_slice){body.data + INCIDENT_SEAL_BYTES, body.len - INCIDENT_SEAL_BYTES};
    return 0;
}

static int check_footer(struct check *check, const struct mcap_record *record, struct err *err)
{
    struct mcap_footer footer;
    if (mcap_parse_footer(record->body, &footer, err) < 0)
        return -1;
    if (!check->sealed || record->offset != check->from)
        return broken(check, record->offset, "has no seal: the end of the file is missing", err);
    if (footer.summary != check->data_end || footer.offsets != check->offsets)
        return err_set(err, ERR_CORRUPT, "the footer was changed");
    return 0;
}

static int check_record(struct check *check, const struct mcap_record *record, struct err *err)
{
    if (check->sealed && record->opcode != MCAP_FOOTER)
        return err_set(err, ERR_CORRUPT, "something stands behind the last seal");
    if (record->opcode == INCIDENT_SEAL || record->opcode == INCIDENT_LAST_SEAL)
        return check_seal(check, record, record->opcode == INCIDENT_LAST_SEAL, err);
    if (record->opcode == MCAP_FOOTER)
        return check_footer(check, record, err);
    if (record->opcode == MCAP_DATA_END)
        check->data_end = record->offset + MCAP_HEAD_BYTES + record->body.len;
    if (record->opcode == MCAP_SUMMARY_OFFSET && check->offsets == 0)
        check->offsets = record->offset;
    return 0;
}

static int check_chain(struct check *check, size_t size, struct err *err)
{
    struct mcap_cursor file;
    struct mcap_record record;
    int more;
    if (mcap_open(&file, check->data, size, err) < 0)
        return -1;
    while ((more = mcap_next(&file, &record, err)) == 1)
        if (check_record(check, &record, err) < 0)
            return -1;
    return more < 0 ? err_prefix(err, "part %llu (from byte %llu)", (unsigned long long)check->part,
                                 (unsigned long long)check->from)
                    : 0;
}

/* ---- the signature ---- */

static bool signature_holds(const struct check *check, X509 *cert)
{
    struct incident_signed text = incident_signed_text(&check->chain);
    __attribute__((cleanup(EVP_MD_CTX_freep))) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY *key = X509_get0_pubkey(cert);
    return ctx && key && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
           EVP_DigestVerify(ctx, check->signature.data, check->signature.len,
                            (const unsigned char *)text.text, INCIDENT_SIGNED_BYTES) == 1;
}

static int check_issuer(X509 *cert, const char *ca_path, struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(MAX_PEM_BYTES);
    if (file_read(ca_path, &pem, err) < 0)
        return -1;
    cleanup_x509 X509 *ca = x509_from_pem(buf_text(&pem), pem.len);
    if (!ca)
        return ossl_fail(err, ERR_INVALID, "%s: it is no certificate", ca_path);
    __attribute__((cleanup(X509_STORE_freep))) X509_STORE *store = X509_STORE_new();
    __attribute__((cleanup(X509_STORE_CTX_freep))) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (!store || !ctx || X509_STORE_add_cert(store, ca) != 1 ||
        X509_STORE_set_flags(store, X509_V_FLAG_NO_CHECK_TIME) != 1 ||
        X509_STORE_CTX_init(ctx, store, cert, NULL) != 1)
        return ossl_fail(err, ERR_INTERNAL, "certificate store");
    if (X509_verify_cert(ctx) != 1)
        return err_set(err, ERR_UNTRUSTED, "its certificate is not of this CA: %s",
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    return 0;
}

static void take_signer(struct incident_verdict *out, X509 *cert)
{
    if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, out->signer,
                                  sizeof out->signer) <= 0)
        out->signer[0] = 0;
    for (char *c = out->signer; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
}

static int check_signature(struct check *check, const char *ca_path, struct err *err)
{
    struct incident_verdict *out = check->out;
    if (check->signature.len == 0)
        return 0;
    if (check->certificate.len > MAX_PEM_BYTES)
        return err_set(err, ERR_UNTRUSTED, "its certificate is too big");
    cleanup_x509 X509 *cert = x509_from_pem((const char *)check->certificate.data, check->certificate.len);
    if (!cert)
        return ossl_fail(err, ERR_UNTRUSTED, "it is signed, but holds no certificate");
    take_signer(out, cert);
    if (!signature_holds(check, cert))
        return ossl_fail(err, ERR_UNTRUSTED, "the signature does not hold");
    out->signature = INCIDENT_SIGNED;
    if (!ca_path)
        return 0;
    if (check_issuer(cert, ca_path, err) < 0)
        return -1;
    if (!str_eq(out->signer, out->facts.robot))
        return err_set(err, ERR_UNTRUSTED, "it is signed by robot %s, but speaks of robot %s", out->signer,
                       out->facts.robot);
    out->signature = INCIDENT_TRUSTED;
    return 0;
}

int incident_verify(const void *data, size_t size, const char *ca_path, struct incident_verdict *out,
                    struct err *err)
{
    *out = (struct incident_verdict){0};
    struct check check = {
        .data = data, .out = out, .chain = hash_bytes(INCIDENT_DOMAIN, sizeof INCIDENT_DOMAIN - 1)};
    const struct mcap_visitor visitor = {.metadata = on_metadata, .attachment = on_attachment, .arg = &check};
    if (check_chain(&check, size, err) < 0) {
        struct err second = {0};
        out->broken = true;
        out->broken_from = check.from;
        (void)!mcap_read(data, size, &visitor, &second); /* for the facts, as far as they go */
        return -1;
    }
    if (mcap_read(data, size, &visitor, err) < 0)
        return -1;
    if (!check.facts)
        return err_set(err, ERR_INVALID, "this is no incident: it holds no facts");
    return check_signature(&check, ca_path, err);
}
