/* TUF 1.0.34 metadata (section 4): from foreign bytes to structs. Pure; nothing here is believed yet.
 *
 *     {"signed": {"_type": "root", "spec_version": "1.0.34", "version": 3, "expires": "2027-01-01T00:00:00Z", …},
 *      "signatures": [{"keyid": "…", "sig": "…hex…"}]}
 *
 * What a signature covers is `signed` in OLPC canonical JSON: members sorted by code point, no white space, integers only, in
 * strings only \ and " escaped, everything else raw UTF-8 (also line feeds). Unknown members are kept in these bytes at every level,
 * since they are signed too; they are otherwise ignored, except Muster's own "x-muster" in root (see struct tuf_root).
 *
 * What the parser guarantees, so that nobody behind it has to ask again:
 * - thresholds ≥ 1, versions ≥ 1, lengths ≥ 0; keyids of one role, and of `signatures`, unique (4.2.1); names unique
 * - root has exactly its four roles; every keyid of a role has a key in `keys` (a delegation may name a key that is not there: it
 *   cannot sign then); spec_version's major is 1
 * - a file or target has a sha256 or sha512 where hashes are given; targets always have one; unknown algorithms alone are an error
 * - an entry with succinct_roles has no roles, and the other way round (TAP 15); bit_length 1 … 32
 * - a delegated role has `paths` or `path_hash_prefixes`, not both
 * - keyids, names, patterns and keys are not empty; nesting ends at 32, and members are limited by the text's length (tree.h), so
 *   that what is parsed takes at most some twenty times its bytes
 * Times may have a fraction ("….123Z", as JavaScript writes them), which is cut off.
 * A keyid that is not the hash of its key is no error (TAP 12), keyid_hash_algorithms is ignored, an empty `sig` is a signature that
 * does not hold. Keys of unknown type or scheme are kept (scheme TUF_SCHEME_UNKNOWN) and verify nothing.
 */
#ifndef MUSTER_WIRE_TUF_METADATA_H
#define MUSTER_WIRE_TUF_METADATA_H

#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tuf_kind { TUF_ROOT, TUF_TIMESTAMP, TUF_SNAPSHOT, TUF_TARGETS, TUF_KIND_COUNT };
const char *tuf_kind_name(enum tuf_kind kind); /* "root": the _type, and the name of the top-level role */

enum tuf_scheme {
    TUF_SCHEME_UNKNOWN,
    TUF_ED25519, /* keytype ed25519; keyval.public 64 hex digits */
    TUF_ECDSA_P256, /* keytype ecdsa, or the older ecdsa-sha2-nistp256; scheme ecdsa-sha2-nistp256; PEM; sig DER */
    TUF_RSA_PSS, /* rsassa-pss-sha256: MGF1-SHA256; verified with any salt length, signed with that of the digest */
    TUF_RSA_PKCS1 /* rsa-pkcs1v15-sha256: verified only */
};

struct tuf_key {
    char *id; /* as the metadata calls it */
    enum tuf_scheme scheme;
    char *public_text; /* keyval.public: hex or PEM */
};

struct tuf_keyset { /* who speaks for a role */
    int64_t threshold;
    size_t count;
    char **keyids;
};

struct tuf_hashes {
    bool has_sha256, has_sha512;
    uint8_t sha256[32], sha512[64];
};

struct tuf_file { /* one entry of `meta` */
    char *name;   /* "snapshot.json", "warehouse.json": a role's name and .json */
    int64_t version;
    bool has_length;
    uint64_t length;
    struct tuf_hashes hashes; /* may have none */
};

struct tuf_target {
    char *path;
    uint64_t length;
    struct tuf_hashes hashes;
    char *custom; /* canonical JSON; NULL: none */
};

struct tuf_delegation {
    char *name;
    struct tuf_keyset keys;
    bool terminating;
    size_t path_count, prefix_count; /* one of the two is 0 */
    char **paths;                    /* glob per path component: * ? [ ]; no component is skipped */
    char **prefixes;                 /* of the hex SHA-256 of the target's path */
};

struct tuf_succinct { /* TAP 15: 2^bit_length bins, prefix-00 … */
    struct tuf_keyset keys;
    int bit_length; /* 0: there are none */
    char *prefix;
};

struct tuf_root {
    bool consistent_snapshot;
    size_t key_count;
    struct tuf_key *keys;
    struct tuf_keyset roles[TUF_KIND_COUNT];
    /* "x-muster": {"fleet": "warehouse-5f0c…", "director": {"keyids": […], "threshold": 1}, "audit": {…}}; all optional.
     * A stock client keeps and ignores it. Keys are those of `keys`. */
    char *fleet;                       /* NULL: none */
    struct tuf_keyset director, audit; /* threshold 0: none */
};

struct tuf_targets {
    size_t count;
    struct tuf_target *targets; /* sorted by path */
    size_t key_count;
    struct tuf_key *keys; /* of the delegations */
    size_t delegation_count;
    struct tuf_delegation *delegations; /* in the order of preference */
    struct tuf_succinct succinct;
};

struct tuf_metadata {
    enum tuf_kind kind;
    char spec_version[16];
    int64_t version;
    int64_t expires_s; /* Unix seconds */
    int64_t issued_s;  /* timestamp: "x-muster": {"issued": "2026-01-02T03:04:05Z"}; 0: none */
    char *signed_text; /* canonical bytes of `signed`: what is signed */
    size_t signed_len;
    size_t signature_count;
    struct tuf_signature {
        char *keyid;
        uint8_t *sig;
        size_t len; /* 0: empty or no hex; does not hold */
    } * signatures;
    struct tuf_root root; /* the member of its kind */
    struct {              /* timestamp and snapshot */
        size_t count;
        struct tuf_file *files; /* sorted by name */
    } meta;
    struct tuf_targets targets;
};

/* Errors: INVALID with the path of the member. After -1 nothing is owned. `len` is capped by the caller. */
int tuf_metadata_parse(const void *text, size_t len, struct tuf_metadata *out, struct err *err) must_check;
void tuf_metadata_fini(struct tuf_metadata *metadata);
#define cleanup_tuf_metadata __attribute__((cleanup(tuf_metadata_fini)))

const struct tuf_file *tuf_metadata_file(const struct tuf_metadata *metadata, const char *name); /* or NULL */
const struct tuf_target *tuf_metadata_target(const struct tuf_metadata *metadata,
                                             const char *path); /* or NULL */

/* OLPC canonical JSON of any JSON text; free() it. Errors: INVALID for what JSON or the form does not allow (floats, doubles). */
char *tuf_canonical(const void *text, size_t len, size_t *out_len, struct err *err);

/* Canonical {"keytype","keyval":{"public"},"scheme"}; free() it. Its SHA-256 is the default keyid: tuf_key_id in trust/tuf/signer.h. */
char *tuf_key_canonical(enum tuf_scheme scheme, const char *public_text, size_t *out_len, struct err *err);

/* Whether the path is this delegation's (5.6.7.2): pattern components, or prefixes of the path's hash. */
bool tuf_delegation_matches(const struct tuf_delegation *delegation, const char *path,
                            const char path_sha256_hex[65]);
/* The bin of a path: "prefix-0a"; free() it. */
char *tuf_succinct_bin(const struct tuf_succinct *succinct, const uint8_t path_sha256[32]);

#endif
