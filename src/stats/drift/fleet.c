#include "stats/drift/fleet.h"

#include <math.h>

static double average(const double *log10_e, size_t count, double limit)
{
    double most = -INFINITY, sum = 0;
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(log10_e[i])) {
            most = fmax(most, fmin(log10_e[i], limit));
            known++;
        }
    if (!known || isinf(most))
        return known ? most : -INFINITY;
    for (size_t i = 0; i < count; i++)
        if (!isnan(log10_e[i]))
            sum += pow(10, fmin(log10_e[i], limit) - most);
    return most + log10(sum / (double)known);
}

double fleet_drift_average(const double *log10_e, size_t count)
{
    return average(log10_e, count, INFINITY);
}

double fleet_drift_common(const double *log10_e, size_t count, double arl, double share)
{
    return average(log10_e, count, log10(arl / share));
}

/* Largest first; ties by index. Heap sort: `order` is all the memory there is. */
static bool before(const double *log10_e, size_t a, size_t b)
{
    return log10_e[a] > log10_e[b] || (log10_e[a] >= log10_e[b] && a < b);
}

static void sink(const double *log10_e, size_t *heap, size_t root, size_t end)
{
    for (size_t child; (child = 2 * root + 1) < end; root = child) {
        if (child + 1 < end && before(log10_e, heap[child], heap[child + 1]))
            child++; /* the later one on top */
        if (!before(log10_e, heap[root], heap[child]))
            return;
        size_t swapped = heap[root];
        heap[root] = heap[child];
        heap[child] = swapped;
    }
}

static void sort(const double *log10_e, size_t *order, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sink(log10_e, order, i, count);
    for (size_t end = count; end-- > 1;) {
        size_t last = order[0];
        order[0] = order[end];
        order[end] = last;
        sink(log10_e, order, 0, end);
    }
}

/* The largest k with: the k-th largest e ≥ robots / (q·k). */
size_t fleet_drift_point(const double *log10_e, size_t count, double q, double arl, size_t *order)
{
    size_t known = 0, found = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(log10_e[i]))
            order[known++] = i;
    sort(log10_e, order, known);
    for (size_t k = 1; k <= known; k++)
        if (log10_e[order[k - 1]] - log10(arl) >= log10((double)known / (q * (double)k)))
            found = k;
    return found;
}
