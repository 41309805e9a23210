/* What a classifier took for what. A class that never occurs and is never named takes no part in the means. */
#ifndef MUSTER_STATS_CONFUSION_H
#define MUSTER_STATS_CONFUSION_H

#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

struct confusion;

struct confusion *confusion_new(size_t classes); /* NULL: out of memory */
void confusion_free(struct confusion *confusion);
MUSTER_CLEANUP(struct confusion *, confusion_free)
#define cleanup_confusion __attribute__((cleanup(confusion_freep)))

void confusion_add(struct confusion *confusion, size_t truth, size_t said);
uint64_t confusion_count(const struct confusion *confusion, size_t truth, size_t said);
uint64_t confusion_total(const struct confusion *confusion);
uint64_t confusion_right(const struct confusion *confusion);
uint64_t confusion_truths(const struct confusion *confusion, size_t label);
uint64_t confusion_said(const struct confusion *confusion, size_t label);

/* 0..1; NaN where it has no meaning (nothing said, nothing there). */
double confusion_accuracy(const struct confusion *confusion);
double confusion_precision(const struct confusion *confusion, size_t label);
double confusion_recall(const struct confusion *confusion, size_t label);
double confusion_f1(const struct confusion *confusion, size_t label);
double confusion_macro_f1(const struct confusion *confusion);

#endif
