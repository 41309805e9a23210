/* May a candidate take its parent's place? Never when it is slower, larger in memory, or less faithful than promised. Pure; the workstation (muster
 * optimize) and the robot (before activation) ask the same question.
 *
 *     latencies come in pairs: parent and candidate run in turn, so that whatever else the machine does hits both. Warm-up is not in them.
 *
 *     pairs       the candidate was faster by GATE_MIN_SPEEDUP in more than half of them: exact lower bound > 1/2, over all pairs and over the
 *                 later half alone (a candidate that is only fast at first is not fast). Less than that is not worth another model, and chance
 *                 and a busy machine make as much of two copies.
 *     p50         the same
 *     p99         candidate ≤ parent, or no evidence that it is worse: runs beyond the parent's p99 by an exact test (hypergeometric)
 *     memory      candidate ≤ parent, with room for what measuring cannot tell (GATE_MEMORY_SLACK, GATE_MEMORY_ROOM)
 *     fidelity    exact lower bound on held-out samples ≥ 1 - max_drop
 *
 * A refusal's reason names the first that fails, with both numbers. Without allocation: what is called on a robot cannot fail.
 */
#ifndef MUSTER_STATS_GATE_H
#define MUSTER_STATS_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_MIN_SPEEDUP 1.03
#define GATE_MEMORY_SLACK 1.05
#define GATE_MEMORY_ROOM (4 << 20) /* bytes: what measuring a whole process cannot tell */
#define GATE_ALPHA 0.05
enum { GATE_MIN_PAIRS = 16 }; /* fewer prove nothing: the later half has to be all faster then */

struct gate_pairs {
    size_t count;
    const int64_t *parent_ns, *candidate_ns; /* [count], of the same round, in the order of time */
};

struct gate_question {
    struct gate_pairs pairs; /* count 0: latency is not looked at here (another machine's) */
    const double *fidelity;  /* per held-out sample; NULL: not looked at */
    size_t fidelity_count;
    bool
        fidelity_binary; /* every value is 0 or 1 by its nature (one class per sample): Clopper and Pearson's bound */
    double max_drop;
    uint64_t parent_memory, candidate_memory; /* bytes; 0: not known */
    uint64_t parent_size, candidate_size;     /* bytes of the file: told, not judged */
};

struct gate_answer {
    bool promoted;
    char reason[200];                                                        /* one line, either way */
    double parent_p50_ms, parent_p99_ms, candidate_p50_ms, candidate_p99_ms; /* NaN: not measured */
    double speedup;                                                          /* of the p50s */
    double faster_share, faster_share_lower;
    double fidelity, fidelity_lower; /* NaN: not measured */
};

void gate_judge(const struct gate_question *question, struct gate_answer *out);

#endif
