/* What the parts of bench-explain share. */
#ifndef MUSTER_BENCH_EXPLAIN_H
#define MUSTER_BENCH_EXPLAIN_H

#include "forge/explain/faith.h"
#include "forge/explain/flip.h"
#include "forge/explain/subject.h"

enum { EXPLAIN_MAX_METHODS = 16 };

/* One result of one frame, and who says how much of it is left. */
struct explained {
    const struct scene *scene;
    struct area focus;
    struct detection box;
    double full;             /* score of the whole frame */
    struct subject *subject; /* of a detector; NULL: D-RISE weighs by the score itself */
};

/* Where a method that goes on with its map, given more passes, has come. */
struct going {
    uint64_t random;
    int done;
};

/* A way to make a map. */
struct method {
    const char *name;
    int passes; /* at most */
    int (*make)(const struct explained *what, int passes, struct going *going, float *map, struct err *err);
    bool goes_on; /* with what the method before it has made */
};
extern const struct method methods[];
extern const size_t method_count;

int make_ours(const struct explained *what, int passes, uint64_t seed, struct saliency *out,
              struct err *err) must_check;

struct row { /* of a method: sums over frames */
    double deletion, insertion, pointing, made_ms;
};
struct table {
    int frames;
    struct row rows[EXPLAIN_MAX_METHODS];
};
/* All methods on one result; `truth`: the true box. */
int table_add(struct table *table, const struct explained *what, const struct detection *truth,
              struct err *err) must_check;
size_t peak_of(const float *map, const struct scene *scene, const struct area *except);

/* The text detector of the corpus on pictures with words (tests/corpus): the mean probability of text in a word's box.
 * out_why empty: done; else what is missing here. */
int explain_text(int frames, const char *dir, struct table *table, char out_why[128],
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
