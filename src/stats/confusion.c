#include "stats/confusion.h"

#include <assert.h>
#include <math.h>

struct confusion {
    size_t classes;
    uint64_t *counts; /* [truth][said] */
};

struct confusion *confusion_new(size_t classes)
{
    cleanup_free struct confusion *confusion = mem_zalloc(1, sizeof *confusion);
    if (!confusion || classes > SIZE_MAX / MAX(classes, 1))
        return NULL;
    confusion->classes = classes;
    confusion->counts = mem_zalloc(classes * classes, sizeof *confusion->counts);
    return confusion->counts ? TAKE_PTR(confusion) : NULL;
}

void confusion_free(struct confusion *confusion)
{
    if (confusion)
        free(confusion->counts);
    free(confusion);
}

void confusion_add(struct confusion *confusion, size_t truth, size_t said)
{
    assert(truth < confusion->classes && said < confusion->classes);
    confusion->counts[truth * confusion->classes + said]++;
}

uint64_t confusion_count(const struct confusion *confusion, size_t truth, size_t said)
{
    return confusion->counts[truth * confusion->classes + said];
}

uint64_t confusion_truths(const struct confusion *confusion, size_t label)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < confusion->classes; i++)
        sum += confusion_count(confusion, label, i);
    return sum;
}

uint64_t confusion_said(const struct confusion *confusion, size_t label)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < confusion->classes; i++)
        sum += confusion_count(confusion, i, label);
    return sum;
}

uint64_t confusion_total(const struct confusion *confusion)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < confusion->classes; i++)
        sum += confusion_truths(confusion, i);
    return sum;
}

uint64_t confusion_right(const struct confusion *confusion)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < confusion->classes; i++)
        sum += confusion_count(confusion, i, i);
    return sum;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : (double)NAN;
}

double confusion_accuracy(const struct confusion *confusion)
{
    return share(confusion_right(confusion), confusion_total(confusion));
}

double confusion_precision(const struct confusion *confusion, size_t label)
{
    return share(confusion_count(confusion, label, label), confusion_said(confusion, label));
}

double confusion_recall(const struct confusion *confusion, size_t label)
{
    return share(confusion_count(confusion, label, label), confusion_truths(confusion, label));
}

double confusion_f1(const struct confusion *confusion, size_t label)
{
    return share(2 * confusion_count(confusion, label, label),
                 confusion_said(confusion, label) + confusion_truths(confusion, label));
}

double confusion_macro_f1(const struct confusion *confusion)
{
    double sum = 0;
    size_t classes = 0;
    for (size_t i = 0; i < confusion->classes; i++) {
        double f1 = confusion_f1(confusion, i);
        if (!isnan(f1)) {
            sum += f1;
            classes++;
        }
    }
    return classes ? sum / (double)classes : (double)NAN;
}
