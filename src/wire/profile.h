/* The reference profile: what frames and results of a release looked like when it was made, so that robots notice when they do not any more. A layer
 * of the release (MUSTER_PROFILE_TYPE, wire/oci.h), written by `muster pack` from calibration data, read by runner and watcher.
 *
 *   little-endian; "MPROFIL1"  u32 sections  u32 0  then sections: u32 kind  u32 bytes of the payload  payload, zeros up to a multiple of 8
 *     1 SIGNALS    per signal in the order of stats/signals.h: f64 mean, sd, tolerance, memory  f32 edges[7]  u32 0
 *     2 LABELS     f64 share[SIGNAL_LABELS] of results by label
 *     3 ACCURACY   f64 accuracy, mean_confidence, slope, atc_threshold, atc_slope, reach, error, bins_accuracy[64]; accuracy NaN: nobody knows
 *     4 TAP        char tensor[64]  u32 channels  u32 0  f32 projection[32][channels]  f32 offset[32]
 *     5 PROTOTYPES u32 count (1..1024)  u32 0  int8 [count][32]  u16 label[count] (65535: background)
 *     6 CONFORMAL  u32 count (1..1024)  u32 0  f32 distance quantiles, ascending
 *   and at the end u64 FNV-1a of all before: against damage; against lies there is the manifest's digest.
 *
 * Each kind at most once, ascending; 1 is always there, 4 to 6 together or not at all. Kinds and signals that a reader does not know are left out, so that
 * older robots read newer profiles; signals that the file lacks have sd 0: not watched.
 */
#ifndef MUSTER_WIRE_PROFILE_H
#define MUSTER_WIRE_PROFILE_H

#include "base/buf.h"
#include "base/err.h"
#include "stats/drift/drift.h"
#include "stats/labelfree.h"
#include "stats/signals.h"
#include "wire/oci.h"
#include "wire/release.h"

#include <stddef.h>
#include <stdint.h>

enum {
    PROFILE_DIMS = 32,
    PROFILE_MAX_PROTOTYPES = 1024,
    PROFILE_MAX_CHANNELS = RELEASE_MAX_TAP_CHANNELS,
    PROFILE_MAX_QUANTILES = 1024,
    PROFILE_NO_LABEL = 65535
};
enum { PROFILE_MAX_BYTES = 1 << 20 };
#define PROFILE_MEDIA_TYPE MUSTER_PROFILE_TYPE

struct profile {
    struct drift_reference signals[SIGNALS];
    double label_share[SIGNAL_LABELS];
    struct labelfree_reference accuracy;
    char tap[64]; /* "": none, and nothing below */
    uint32_t channels;
    float *projection; /* [PROFILE_DIMS][channels]; owned */
    float offset[PROFILE_DIMS];
    uint32_t prototype_count, quantile_count;
    int8_t (*prototypes)[PROFILE_DIMS]; /* owned */
    uint16_t *prototype_labels;         /* owned */
    float *quantiles; /* owned: distances to the k nearest prototypes of calibration data, ascending */
};

/* Errors: CORRUPT where bytes are damaged, INVALID where numbers cannot be. *out is empty after -1. */
int profile_parse(const void *data, size_t len, struct profile *out, struct err *err) must_check;
/* Appends; refuses (INVALID) what profile_parse would. */
int profile_format(const struct profile *profile, struct buf *out, struct err *err) must_check;
void profile_fini(struct profile *profile);
#define cleanup_profile __attribute__((cleanup(profile_fini)))

#endif
