/* An incident: what a robot's black box sealed around an event. An MCAP file (wire/mcap/format.h) in which any change, cut or
 * missing part shows, and which says whose robot made it.
 *
 *   part 0      head, Metadata "muster.incident" (the facts), Attachment "device.pem" (the robot's certificate), channels,
 *               the first chunk with its message indexes
 *   seal 0      0x80   part number (u64) │ where the part begins (u64) │ chain (32 bytes)
 *   part n      the next chunk with its message indexes
 *   seal n      …
 *   last part   DataEnd, summary, summary offsets
 *   last seal   0x81   the same three, then the signature (none: the rest of the record is empty)
 *   footer      says only where things are: checked against where they are
 *
 *   chain(n) = SHA-256(chain(n - 1), bytes of part n)            chain(-1) = SHA-256("muster-incident-v1\n")
 *   signed:    "muster-incident-v1\n" <64 hex of the last chain> "\n"    by the device key (ECDSA P-256 with SHA-256)
 *
 * Stock tools skip the seals. What the chain alone shows is damage; that nobody made the whole file anew only the signature
 * shows, and that it is that robot's only the certificate, if it is of the right CA.
 */
#ifndef MUSTER_TRUST_INCIDENT_H
#define MUSTER_TRUST_INCIDENT_H

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "wire/mcap/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INCIDENT_ID_SIZE = 80, INCIDENT_MAX_BYTES = 256 << 20 };

struct incident_facts {
    char id[INCIDENT_ID_SIZE]; /* str_is_name */
    char robot[64];            /* "" before it is enrolled */
    char cause[32];            /* "estop" */
    char text[240];            /* one line */
    char who[48], reason[112]; /* the human's, if there is one */
    int severity;              /* 0 … 3 */
    int64_t time_ms;           /* of the trigger, wall clock */
    int64_t from_ms, until_ms; /* what is in it, wall clock */
    struct digest release;     /* that answered at the trigger; zero: none */
    uint64_t frames, verdicts, notices;
    uint64_t lost_frames, lost_verdicts; /* overtaken before they could be kept */
    double frame_rate;                   /* of kept frames, per second */
};

/* ---- writing ---- */

struct incident_signer; /* device key and certificate */
int incident_signer_load(const char *key_path, const char *cert_path, struct incident_signer **out,
                         struct err *err) must_check;
void incident_signer_free(struct incident_signer *signer);
MUSTER_CLEANUP(struct incident_signer *, incident_signer_free)
#define cleanup_incident_signer __attribute__((cleanup(incident_signer_freep)))
const char *incident_signer_name(const struct incident_signer *signer); /* common name of the certificate */

struct incident_sink {
    int (*write)(const void *data, size_t len, void *arg, struct err *err);
    void *arg;
};

struct incident_writer;
/* Then channels and messages go through incident_mcap, then incident_finish. `signer` NULL: not signed; borrowed. */
int incident_begin(const struct incident_sink *sink, const struct incident_facts *facts,
                   const struct incident_signer *signer, struct incident_writer **out,
                   struct err *err) must_check;
struct mcap_writer *incident_mcap(struct incident_writer *w);
int incident_finish(struct incident_writer *w, struct err *err) must_check;
void incident_writer_free(struct incident_writer *w);
MUSTER_CLEANUP(struct incident_writer *, incident_writer_free)
#define cleanup_incident_writer __attribute__((cleanup(incident_writer_freep)))

/* ---- reading ---- */

enum incident_signature {
    INCIDENT_UNSIGNED,
    INCIDENT_SIGNED, /* by the key of the certificate in it; whose that is was not asked (no CA given) */
    INCIDENT_TRUSTED /* and the certificate is of that CA and names the robot of the facts */
};

struct incident_verdict {
    struct incident_facts facts; /* as far as they could be read; texts without control characters */
    uint64_t parts;              /* that hold */
    bool broken;                 /* the part behind them does not */
    uint64_t broken_from;        /* byte where that one begins */
    enum incident_signature signature;
    char signer[64]; /* common name of the certificate */
};

/* 0: every part holds and so does the signature, if there is one (ask out->signature). -1: CORRUPT, with the first broken
 * part in *out and in the text; UNTRUSTED, the signature or the certificate does not hold; INVALID, no incident. `ca_path`
 * NULL: not asked. A certificate that has run out since is still the robot's. */
int incident_verify(const void *data, size_t size, const char *ca_path, struct incident_verdict *out,
                    struct err *err) must_check;

#endif
