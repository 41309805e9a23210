/* May a variant take the model's place on this machine? The same question that `muster optimize` asks on the workstation (stats/gate.h), asked
 * again where it matters: in the runner, before the guard hears of it, and whenever it starts.
 *
 *     golden frames ─▶ variant ─▶ as alike to the golden outputs as the release promises (infer/fidelity.h, mean)?      else unfaithful
 *     golden frames ─▶ model, variant, variant, model … ─▶ pairs of latencies, after warm-up ─▶ gate: faster?            else slower
 *     memory of the process with the one, then with the other (contest_weigh)                  ─▶ gate: not more?        else bigger
 *
 * A variant that does not load, fails on a golden frame or gives NaN is broken. Whatever it is that it is not: the model itself serves, and no frame
 * ever meets the variant.
 */
#ifndef MUSTER_INFER_CONTEST_H
#define MUSTER_INFER_CONTEST_H

#include "infer/pipeline.h"
#include "stats/gate.h"

enum { CONTEST_PAIRS = 64, CONTEST_MS = 1500, CONTEST_MORE_MS = 30000 };

enum contest_verdict { CONTEST_WON, CONTEST_BROKEN, CONTEST_UNFAITHFUL, CONTEST_SLOWER, CONTEST_BIGGER };

struct contest_question {
    struct pipeline *parent, *variant;
    const struct golden *golden;
    double promised;  /* mean fidelity on the golden cases */
    size_t max_pairs; /* 0: CONTEST_PAIRS */
    int64_t
        limit_ms; /* 0: CONTEST_MS; CONTEST_MORE_MS more if that is too short for the pairs that the gate needs */
};

struct contest {
    enum contest_verdict verdict;
    char reason[200];        /* one line, either way */
    double fidelity;         /* NaN: not measured */
    struct gate_answer gate; /* of the latencies; all zero: not measured */
};

/* Both pipelines keep their tensors; their state is fresh afterwards. */
void contest_run(const struct contest_question *question, struct contest *out);

/* Anonymous memory of this process, after what is free was given back; bytes, 0: the kernel does not say. */
uint64_t contest_memory(void);
/* The winner alone against the model alone; a verdict that was WON may become BIGGER. */
void contest_weigh(uint64_t parent_bytes, uint64_t variant_bytes, struct contest *contest);

const char *contest_verdict_name(enum contest_verdict verdict); /* "slower" */

#endif
