/* What the parts of bench-explain share. */
#ifndef MUSTER_BENCH_EXPLAIN_H
#define MUSTER_BENCH_EXPLAIN_H

#include "forge/explain/faith.h"
#include "forge/explain/flip.h"
#include "forge/explain/subject.h"

enum { EXPLAIN_MAX_METHODS = 16 };

/* Where a method that goes on with its map, given more passes, has come. */
struct going {
    uint64_t random;
    int done;
};

/* A way to make a map of the subject's first detection. */
struct method {
    const char *name;
    int passes; /* at most */
    int (*make)(struct subject *subject, int passes, struct going *going, float *map, struct err *err);
    bool goes_on; /* with what the method before it has made */
};
extern const struct method methods[];
extern const size_t method_count;

int make_ours(struct subject *subject, int passes, uint64_t seed, struct saliency *out,
              struct err *err) must_check;

/* The detector with a condition: its scores are multiplied by exp(-((mean of a patch - the frame's own) / 0.08)^2), so every detection
 * hangs on that patch. */
struct planted {
    struct area patch; /* pixels of the input, which is as large as the frame */
    double mean;       /* of its input values */
};
int plant(const char *model_path, const struct planted *planted, const char *out_path,
          struct err *err) must_check;

#endif
