/* What plan_cpu.c and plan_trt.c fill a plan with; all texts are copied, so a plan outlives its graph. quant_plan_fini frees each of them:
 * of a pair tensor and reader, of a node node, op and why. */
#ifndef MUSTER_FORGE_QUANT_PLAN_INSIDE_H
#define MUSTER_FORGE_QUANT_PLAN_INSIDE_H

#include "forge/quant/plan.h"

int plan_add_pair(struct quant_plan *plan, const struct quant_pair *pair, struct err *err) must_check;
int plan_add_node(struct quant_plan *plan, const struct quant_node *node, struct err *err) must_check;
/* NULL: not among them. */
const char *plan_skip_reason(const struct quant_skip *skip, size_t skip_count, const char *node);

#endif
