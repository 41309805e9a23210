/* A page being written: text is escaped, the first error is kept and told at the end. And its charts: inline SVG, coloured by the page's style. */
#ifndef MUSTER_FORGE_OPTIMIZE_REPORT_PAGE_H
#define MUSTER_FORGE_OPTIMIZE_REPORT_PAGE_H

#include "base/buf.h"
#include "forge/optimize/optimize.h"

struct page {
    struct buf *out; /* borrowed */
    struct err err;  /* the first one */
};

void page_put(struct page *page, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));           /* markup of ours: not escaped */
void page_text(struct page *page, const char *text); /* anything: escaped */

/* Parent and candidate side by side, one pair of bars per row. */
struct bar_row {
    const char *label;
    double parent, candidate;         /* NaN: not measured */
    double parent_far, candidate_far; /* a thin line to here (p99); NaN: none */
    bool refused;
};
void chart_bars(struct page *page, const char *title, const char *unit, const struct bar_row *rows,
                size_t count);

/* Mean and exact lower bound, against the bound that is wanted. */
struct bound_row {
    const char *label;
    double mean, lower;
    bool refused;
};
void chart_bounds(struct page *page, const char *title, double wanted, const struct bound_row *rows,
                  size_t count);

/* The most sensitive groups: signal-to-noise ratio of the model's outputs, in dB. */
void chart_sensitivity(struct page *page, const struct optimize_profile *profile);

#endif
