/* The figures as one JSON object. */
#include "base/mem.h"
#include "bench/dataplane.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(__SSE__)
#define CAMERA "dma"
#else
#define CAMERA "cpu"
#endif

enum { SMALLEST = 64 << 10 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const struct row *row, enum what what, double q)
{
    const struct series *series = &row->series[what];
    if (!series->count)
        return 0;
    qsort(series->us, series->count, sizeof *series->us, by_size);
    size_t index = (size_t)(q * (double)series->count);
    return series->us[MIN(index, series->count - 1)];
}

static double added(const struct row *row, enum what what, double q)
{
    return quantile(row, what, q) - quantile(row, BARE, q);
}

void report_row(const struct row *row)
{
    printf("{\"mode\":\"%s\",\"bytes\":%zu,\"reads_all\":%s,\"written_by\":\"%s\",\"frames\":%zu,\"frames_"
           "not_ok\":%llu,"
           "\"run_p50_us\":%.1f,\"run_p99_us\":%.1f,\"whole_p50_us\":%.1f,\"whole_p99_us\":%.1f,"
           "\"added_p50_us\":%.1f,\"added_p99_us\":%.1f,\"own_run_p50_us\":%.1f,\"own_added_p50_us\":%.1f,"
           "\"own_added_p99_us\":%.1f,\"to_runner_p50_us\":%.1f,\"to_guard_p50_us\":%.1f,"
           "\"to_program_p50_us\":%.1f,\"guard_cpu_per_frame_us\":%.1f",
           row->mode->name, frames_bytes(&row->frames), row->reads_all ? "true" : "false",
           row->by_cpu ? "cpu" : CAMERA, row->series[WHOLE].count, (unsigned long long)row->not_ok,
           quantile(row, BARE, 0.5), quantile(row, BARE, 0.99), quantile(row, WHOLE, 0.5),
           quantile(row, WHOLE, 0.99), added(row, WHOLE, 0.5), added(row, WHOLE, 0.99),
           quantile(row, OWN_RUN, 0.5), quantile(row, OWN_ADDED, 0.5), quantile(row, OWN_ADDED, 0.99),
           quantile(row, TO_RUNNER, 0.5), quantile(row, TO_GUARD, 0.5), quantile(row, TO_PROGRAM, 0.5),
           row->guard_cpu_us);
    if (row->series[HTTP].count)
        printf(",\"http_p50_us\":%.1f,\"http_added_p50_us\":%.1f", quantile(row, HTTP, 0.5),
               added(row, HTTP, 0.5));
    printf("}");
}

/* The worst of all sizes. */
static double worst(const struct bench *bench, const struct mode *mode, enum what what, double q)
{
    double most = -1e9;
    for (size_t i = 0; i < bench->row_count; i++) {
        const struct row *row = &bench->rows[i];
        if (row->mode != mode || row->reads_all || row->by_cpu)
            continue;
        most = MAX(most, what == WHOLE ? added(row, WHOLE, q) : quantile(row, what, q));
    }
    return most;
}

static const struct row *find_row(const struct bench *bench, const struct mode *mode, size_t bytes)
{
    for (size_t i = 0; i < bench->row_count; i++)
        if (bench->rows[i].mode == mode && frames_bytes(&bench->rows[i].frames) == bytes &&
            !bench->rows[i].reads_all && !bench->rows[i].by_cpu)
            return &bench->rows[i];
    return &bench->rows[0];
}

static void print_counts(const struct bench *bench)
{
    const struct count *counts = bench->counts;
    uint64_t ours = counts[COUNT_PROGRAM].ours + counts[COUNT_GUARD].ours + counts[COUNT_RUNNER].ours;
    uint64_t largest = BENCH_LARGEST;
    double copies =
        MAX(find_row(bench, &bench->spin, largest)->copies, find_row(bench, &bench->sleep, largest)->copies);
    if (count_possible())
        printf("\"allocations_per_frame\":%g,\"engine_allocations_per_frame\":%g,",
               (double)ours / COUNTED_FRAMES, (double)counts[COUNT_RUNNER].engine / COUNTED_FRAMES);
    printf("\"payload_copies\":%d,\"touched_payloads\":%.3f,", (int)copies, copies);
}

static void print_headline(const struct bench *bench)
{
    const struct mode *spin = &bench->spin, *sleep = &bench->sleep;
    const struct row *largest = find_row(bench, spin, BENCH_LARGEST),
                     *smallest = find_row(bench, sleep, SMALLEST);
    printf("\"run_p50_us\":%.1f,\"added_p50_us_spin\":%.1f,\"added_p99_us_spin\":%.1f,\"added_p50_us_sleep\":"
           "%.1f,\"added_p99_us_sleep\":%.1f,\"own_added_p50_us_spin\":%.1f,\"own_added_p99_us_spin\":%.1f,"
           "\"own_added_p50_us_sleep\":%.1f,\"own_added_p99_us_sleep\":%.1f,\"http_added_p50_us\":%.1f,",
           quantile(largest, BARE, 0.5), worst(bench, spin, WHOLE, 0.5), worst(bench, spin, WHOLE, 0.99),
           worst(bench, sleep, WHOLE, 0.5), worst(bench, sleep, WHOLE, 0.99),
           worst(bench, spin, OWN_ADDED, 0.5), worst(bench, spin, OWN_ADDED, 0.99),
           worst(bench, sleep, OWN_ADDED, 0.5), worst(bench, sleep, OWN_ADDED, 0.99),
           added(smallest, HTTP, 0.5));
}

void report_all(const struct bench *bench)
{
    const struct cores *spin = &bench->spin.cores, *sleep = &bench->sleep.cores;
    printf("{\"benchmark\":\"dataplane\",\"cores_spin\":[%d,%d,%d],\"cores_sleep\":[%d,%d,%d],\"niced\":%s,",
           spin->program, spin->guard, spin->runner, sleep->program, sleep->guard, sleep->runner,
           bench->niced ? "true" : "false");
    print_headline(bench);
    print_counts(bench);
    printf("\"guard_rss_kib\":%llu,\"detector\":", (unsigned long long)bench->guard_rss_kib);
    report_row(&bench->detector);
    printf(",\"sizes\":[");
    for (size_t i = 0; i < bench->row_count; i++) {
        printf(i ? "," : "");
        report_row(&bench->rows[i]);
    }
    printf("]}\n");
}
