/* The parts of derived.h; private to derived*.c. */
#ifndef MUSTER_INFER_DERIVED_INSIDE_H
#define MUSTER_INFER_DERIVED_INSIDE_H

#include "infer/derived.h"

enum derived_state { DERIVED_NONE, DERIVED_BUILDING, DERIVED_BUILT, DERIVED_FAILED };

struct derived_record {
    enum derived_state state;
    char builder[32];
    struct digest source;
    struct digest file; /* BUILT */
    uint64_t size;
    int64_t at_ms;
    char why[160]; /* FAILED */
};

/* A missing, damaged or foreign record is DERIVED_NONE. */
void derived_record_read(const char *dir, const char *key, struct derived_record *out);
int derived_record_write(const char *dir, const char *key, const struct derived_record *record,
                         struct err *err) must_check;

/* Removes what is stale: other keys of this source and builder, files without a record, and the longest unused beyond the limit;
 * never `keep`. */
void derived_sweep(const char *dir, const char *keep, const struct derived_record *now, uint64_t cache_bytes);
void derived_remove(const char *dir, const char *key);

/* Runs build and verify in a child within the limits. Errors: what the child says; TIMEOUT; REFUSED if it crashed. */
int derived_build(const struct derived_builder *builder, const char *source, const char *target,
                  const struct derived_limits *limits, struct err *err) must_check;

#endif
