/* Second-order rounding: weights go to the grid one column after the other, and what a column loses is made up for by the columns that are
 * still free, as the samples' second moments say (GPTQ, Frantar et al. 2022, arXiv 2210.17323; it is OBQ in a fixed order). Pure.
 *
 *     minimise ‖(W - Q) X‖² = tr((W - Q) G (W - Q)ᵀ)        G = X Xᵀ + ridge;  G⁻¹ = UᵀU;  columns in falling order of G's diagonal
 *     for each column j:  q_j = nearest(w_j)   e = (w_j - q_j) / U_jj   w_k -= e U_jk for k > j
 */
#ifndef MUSTER_FORGE_QUANT_ROUND_H
#define MUSTER_FORGE_QUANT_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct round_job {
    size_t filters, n;   /* w is filters × n */
    const float *w;      /* row-major */
    const float *scales; /* one per filter */
    int bits;            /* 8: [-127, 127], 7: [-63, 63] */
};

/* `g` (n × n, whole and symmetric) is overwritten. False if there is no memory or nothing to go by (G is 0 or not finite): `out` is then not set. */
bool round_second_order(const struct round_job *job, double *g, int8_t *out);
/* tr((W - Q) G (W - Q)ᵀ) for a lower or whole G. */
double round_loss(const struct round_job *job, const double *g, const int8_t *q);

#endif
