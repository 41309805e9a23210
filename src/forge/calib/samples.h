/* A folder of unlabelled samples as input tensors of a model.
 *
 *     DIR/NAME.png .jpg .jpeg      pictures, preprocessed as the release says: resized, normalised, laid out
 *     DIR/NAME.npy .f32            tensors of the first input (forge/floats.h); one file may hold several frames
 *     DIR/NAME/INPUT.npy          one folder per sample, one file per input, for models with several inputs (int64 and others: .npy says)
 *
 * Sorted by name, then shuffled by a fixed seed, so that any part of it is a fair share and every run sees the same. Inputs that a sample
 * does not give are zeros (state). Nothing is kept in memory but names: a sample is read when it is asked for.
 *
 *     [0, calibrate)   ranges, Gram matrices, bias          [calibrate, count)   held out: nothing is fitted to these
 */
#ifndef MUSTER_FORGE_CALIB_SAMPLES_H
#define MUSTER_FORGE_CALIB_SAMPLES_H

#include "base/err.h"
#include "base/mem.h"
#include "infer/lab.h"
#include "wire/release.h"

#include <stddef.h>

struct samples;

/* `release` tells inputs and preprocessing; for a bare model the caller makes one up (forge/optimize/target.h).
 * Errors: NOT_FOUND for a missing or empty folder; INVALID naming the first file that does not fit. */
int samples_open(const char *dir, const struct release *release, struct samples **out,
                 struct err *err) must_check;
void samples_free(struct samples *samples);
MUSTER_CLEANUP(struct samples *, samples_free)
#define cleanup_samples __attribute__((cleanup(samples_freep)))

size_t samples_count(const struct samples *samples);
size_t
samples_calibrate(const struct samples *samples); /* how many are for fitting; the others are held out */
const char *samples_name(const struct samples *samples, size_t i);
/* Sample i: one tensor per input of the release, in its order, valid until the next call. */
int samples_load(struct samples *samples, size_t i, const struct lab_tensor **out_inputs,
                 struct err *err) must_check;
/* The same in the order of the lab's inputs, as lab_run wants them. Errors: REFUSED if the lab has one that the release does not name. */
int samples_feed(struct samples *samples, size_t i, const struct lab *lab,
                 struct lab_tensor out_inputs[RELEASE_MAX_TENSORS], struct err *err) must_check;

/* The split, pure: half for each, at most 512 for fitting, at least 48 held out where that leaves 8. */
size_t samples_split(size_t count);

#endif
