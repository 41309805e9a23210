/* OpenSSF Model Signing (OMS) 1.0: a signature of a model's files that other tools understand. Pure; nothing here is believed yet.
 *
 *     Sigstore bundle 0.3, JSON
 *       mediaType              application/vnd.dev.sigstore.bundle.v0.3+json
 *       verificationMaterial   one of:
 *         publicKey              {hint: "hex"}, or as before 1.1 {rawBytes: base64, keyDetails}                     method key
 *         x509CertificateChain   {certificates: [{rawBytes: base64 of DER}]}, the signer's first                    method certificate
 *         certificate            {rawBytes}, of Fulcio, and tlogEntries: one entry of Rekor (below)                 method sigstore
 *       dsseEnvelope           payloadType application/vnd.in-toto+json, payload base64, one signature {sig: base64, keyid: ""}
 *                              signed: "DSSEv1" SP length SP payloadType SP length SP payload
 *         └─ payload: in-toto Statement v1
 *              subject         [{name, digest {sha256: root}}], root = SHA-256 of all digests of resources, in their order
 *              predicateType   https://model_signing/signature/v1.0
 *              predicate       resources [{name: "dir/file", digest: hex, algorithm: "sha256"}]
 *                              serialization {method: "files", hash_type: "sha256", allow_symlinks, ignore_paths}
 *
 *     tlogEntries[0]           {logIndex, logId.keyId, kindVersion {dsse, 0.0.1}, integratedTime, inclusionPromise.signedEntryTimestamp,
 *                              inclusionProof {logIndex, treeSize, rootHash, hashes, checkpoint.envelope}, canonicalizedBody}
 *
 * Taken: SHA-256, whole files, one log entry of Rekor 1. Other hashes, shards, several entries and those of Rekor 2 are UNSUPPORTED, by name.
 * keyid may be absent, "" or null; other tools' members are ignored, among them timestampVerificationData, and log entries beside a key or a
 * chain: there, nothing depends on them.
 * What the parser guarantees: at least one resource; names are relative paths in their one spelling ("." alone names the only file of a
 * model that is one, as older tools write it), lines of text, each once; ignored paths are such paths without * ? [.
 *
 * What we write is canonical (json_write.h): a bundle of ours that is parsed and formatted is the same bytes.
 */
#ifndef MUSTER_WIRE_OMS_H
#define MUSTER_WIRE_OMS_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OMS_BUNDLE_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define OMS_PAYLOAD_TYPE "application/vnd.in-toto+json"

enum {
    OMS_MAX_BYTES = 4 << 20, /* of a bundle */
    OMS_MAX_RESOURCES = 8192,
    OMS_MAX_IGNORED = 64,
    OMS_NAME_SIZE = 1024,
    OMS_HINT_SIZE = 129,
    OMS_SIG_SIZE = 160, /* ECDSA of P-521 as DER is at most 139 bytes */
    OMS_MAX_CERTIFICATES = 8,
    OMS_MAX_CERTIFICATE_BYTES = 16 << 10,
    OMS_MAX_PROOF = 64,
    OMS_CHECKPOINT_SIZE = 16 << 10,
    OMS_MAX_ENTRY_BYTES = 64 << 10
};

struct oms_resource {
    char *name;
    struct digest digest;
};

struct oms_statement {
    char *subject;      /* what the signer calls the model; says nothing else */
    struct digest root; /* as it is written */
    bool allow_symlinks;
    size_t count;
    struct oms_resource *resources; /* in the order of the document */
    size_t ignored_count;
    char **ignored;
};

struct oms_bytes {
    uint8_t *data;
    size_t len;
};

struct oms_log_entry {    /* of a transparency log (Rekor) */
    struct digest log_id; /* SHA-256 of its public key */
    uint64_t log_index;   /* over all shards of the log; the promise covers it */
    int64_t time_s;       /* when it was taken in; the promise covers it, the proof does not */
    uint8_t promise[OMS_SIG_SIZE];
    size_t promise_len;
    uint64_t leaf_index, tree_size; /* in the shard that the proof is about */
    struct digest root, hashes[OMS_MAX_PROOF];
    size_t hash_count;
    char *checkpoint;      /* a signed note */
    struct oms_bytes body; /* JSON, the leaf */
};

enum oms_method { OMS_KEY, OMS_CERTIFICATE, OMS_SIGSTORE };

struct oms_bundle {
    enum oms_method method;
    char hint[OMS_HINT_SIZE]; /* of the key: SHA-256 of its PEM in hex, as the tools have it; "": none */
    size_t certificate_count; /* 0; 1 … ; 1 */
    struct oms_bytes certificates[OMS_MAX_CERTIFICATES]; /* DER, not parsed; the signer's first */
    struct oms_log_entry *entry;                         /* of OMS_SIGSTORE, else NULL */
    uint8_t *payload;                                    /* the statement's bytes, which are signed */
    size_t payload_len;
    uint8_t sig[OMS_SIG_SIZE];
    size_t sig_len;
};

/* Errors: INVALID, TOO_BIG, UNSUPPORTED. After -1 nothing is owned. */
int oms_bundle_parse(const void *text, size_t len, struct oms_bundle *out, struct err *err) must_check;
char *oms_bundle_format(const struct oms_bundle *bundle); /* free() it; NULL: out of memory */
void oms_bundle_fini(struct oms_bundle *bundle);
#define cleanup_oms_bundle __attribute__((cleanup(oms_bundle_fini)))

/* The bytes that the signature covers (DSSE's pre-authentication encoding). */
int oms_pae(const struct oms_bundle *bundle, struct buf *out, struct err *err) must_check;

int oms_statement_parse(const void *text, size_t len, struct oms_statement *out, struct err *err) must_check;
char *oms_statement_format(const struct oms_statement *statement);
void oms_statement_fini(struct oms_statement *statement);
#define cleanup_oms_statement __attribute__((cleanup(oms_statement_fini)))

/* Building one. Errors: INVALID for a name that no document may have (not UTF-8, control characters, "..", a backslash), TOO_BIG. */
int oms_statement_add(struct oms_statement *statement, const char *name, const struct digest *digest,
                      struct err *err) must_check;
int oms_statement_ignore(struct oms_statement *statement, const char *path, struct err *err) must_check;
void oms_statement_sort(struct oms_statement *statement); /* by the bytes of the names */
const struct oms_resource *oms_statement_find(const struct oms_statement *statement,
                                              const char *name); /* or NULL */

#endif
