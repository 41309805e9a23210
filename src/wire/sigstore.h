/* What Sigstore says about a signature, as documents. Pure; nothing is believed here.
 *
 *     trusted root (trusted_root.json)     the keys and authorities of one Sigstore, each with the time in which it counts
 *       mediaType                 application/vnd.dev.sigstore.trustedroot+json;version=0.1, or …trustedroot.v0.2+json
 *       tlogs, ctlogs             [{publicKey {rawBytes: base64 of DER, validFor {start, end?}}, logId.keyId: base64}]
 *       certificateAuthorities    [{certChain.certificates [{rawBytes}], validFor}], the root of each chain is its last
 *       timestampAuthorities      ignored, as all else is
 *
 *     entry of the transparency log (canonicalizedBody), kind dsse 0.0.1
 *       {apiVersion, kind, spec {payloadHash {algorithm: sha256, value: hex}, signatures [{signature: base64, verifier: base64 of PEM}]}}
 *
 *     promise (signed entry timestamp) over {"body":base64,"integratedTime":n,"logID":hex,"logIndex":n}
 *
 *     checkpoint: a signed note (C2SP), here of any name and any kind of key
 *       rekor.sigstore.dev - 1193050959916656506     origin       ┐
 *       476246825                                    size         │ signed, with the line feed of its last line
 *       V0NA1ekH…=                                   root         ┘ (further lines before the blank one are signed, too)
 *
 *       — rekor.sigstore.dev wNI9ajBF…               name, base64 of 4 bytes of the key's hash and the signature
 */
#ifndef MUSTER_WIRE_SIGSTORE_H
#define MUSTER_WIRE_SIGSTORE_H

#include "wire/oms.h"

enum {
    SIGSTORE_ROOT_MAX_BYTES = 1 << 20,
    SIGSTORE_MAX_LOGS = 32,
    SIGSTORE_MAX_AUTHORITIES = 32,
    SIGSTORE_MAX_KEY_BYTES = 2048,
    SIGSTORE_MAX_SIGNATURES = 16
};

struct sigstore_span {
    int64_t from_s, until_s; /* both count; INT64_MAX: no end is known */
};
bool sigstore_span_holds(const struct sigstore_span *span, int64_t time_s);

struct sigstore_log {
    struct digest id;
    struct oms_bytes key; /* DER, not parsed */
    struct sigstore_span valid;
};

struct sigstore_authority {
    size_t count; /* 1 … */
    struct oms_bytes certificates[OMS_MAX_CERTIFICATES];
    struct sigstore_span valid;
};

struct sigstore_logs {
    size_t count;
    struct sigstore_log items[SIGSTORE_MAX_LOGS];
};

struct sigstore_root {
    struct sigstore_logs logs, ct_logs;
    size_t authority_count;
    struct sigstore_authority authorities[SIGSTORE_MAX_AUTHORITIES];
};

/* Errors: TOO_BIG, INVALID. After -1 nothing is owned. */
int sigstore_root_parse(const void *text, size_t len, struct sigstore_root *out, struct err *err) must_check;
void sigstore_root_fini(struct sigstore_root *root);
#define cleanup_sigstore_root __attribute__((cleanup(sigstore_root_fini)))

/* The log of this name, if it counted at this time; or NULL. */
const struct sigstore_log *sigstore_find_log(const struct sigstore_logs *logs, const struct digest *id,
                                             int64_t time_s);

struct sigstore_body {
    struct digest payload; /* of the signed statement */
    uint8_t sig[OMS_SIG_SIZE];
    size_t sig_len;
    struct oms_bytes verifier; /* PEM, with a 0 behind it that does not count */
};
/* Errors: INVALID; UNSUPPORTED for another kind of entry. After -1 nothing is owned. */
int sigstore_body_parse(const void *text, size_t len, struct sigstore_body *out, struct err *err) must_check;
void sigstore_body_fini(struct sigstore_body *body);
#define cleanup_sigstore_body __attribute__((cleanup(sigstore_body_fini)))

char *
sigstore_promise(const struct oms_log_entry *entry); /* what it covers; free() it; NULL: out of memory */

struct sigstore_note {
    size_t text_len; /* of the note's first bytes, which are signed */
    uint64_t size;
    struct digest root;
    size_t count;
    struct {
        uint8_t key_hash[4], sig[OMS_SIG_SIZE];
        size_t sig_len;
    } signatures[SIGSTORE_MAX_SIGNATURES]; /* longer ones are left out: no key that we take makes them */
};
int sigstore_note_parse(const char *text, struct sigstore_note *out,
                        struct err *err) must_check; /* INVALID */

#endif
