/* What is measured, in children: the memory of one model; fidelity and latency of two, side by side. */
#include "forge/optimize/judge_inside.h"

#include "base/clock.h"
#include "base/str.h"
#include "infer/lab.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
    WARM_WINDOW = 6,
    WARM_WINDOWS_MAX = 16,
    SETTLED_PERCENT = 5,
    PAIRS_MIN = 2 * GATE_MIN_PAIRS,
    PAIRS_BUDGET_MS = 20000, /* for all pairs together */
    WEIGH_RUNS = 3,
    FRAMES_BYTES = 16 << 20, /* of inputs that are kept for the pairs */
    FRAMES_MAX = 16,
    SIDES = 2 /* 0: the parent, 1: the candidate */
};

/* As a robot opens it. Where the latency is another machine's, only what is computed counts: the pairs as they stand, in float. (ONNX Runtime 1.22
 * makes kernels of pairs beside float16 that compute something else.) */
static int open_lab(const char *path, const struct optimize_contest *contest, struct lab **out,
                    struct err *err)
{
    static const char *const in_float[][2] = {{"session.disable_quant_qdq", "1"}};
    struct lab_how how = {.runtime_path = contest->runtime_path, .threads = 1, .level = LAB_ALL};
    if (!contest->latency) {
        how.level = LAB_BASIC;
        how.entries = in_float;
        how.entry_count = ARRAY_LEN(in_float);
    }
    return lab_open(path, NULL, 0, &how, out, err);
}

/* ---- memory ---- */

static uint64_t status_bytes(const char *key)
{
    char line[256];
    unsigned long long kib = 0;
    cleanup_file FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (str_starts(line, key))
            kib = strtoull(line + strlen(key), NULL, 10);
    return kib * 1024;
}

/* From here on the high-water mark is this process's own. */
static bool forget_peak(void)
{
    cleanup_close int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, "5", 1) == 1;
}

int judge_weigh(void *arg, struct apart *self, struct err *err)
{
    const struct judge_task *task = arg;
    const struct optimize_contest *contest = task->contest;
    const struct lab_tensor *inputs = NULL;
    if (samples_load(contest->samples, 0, &inputs, err) < 0)
        return -1;
    task->board->blame = BLAME_CANDIDATE;
    bool known = forget_peak();
    uint64_t before = status_bytes("VmRSS:");
    cleanup_lab struct lab *lab = NULL;
    if (open_lab(task->model, contest, &lab, err) < 0)
        return -1;
    for (int i = 0; i < WEIGH_RUNS; i++) {
        int64_t ns;
        if (lab_time(lab, inputs, &ns, err) < 0)
            return -1;
    }
    uint64_t peak = status_bytes("VmHWM:");
    task->board->memory = known && peak > before ? peak - before : 0;
    return 0;
}

/* ---- both models ---- */

struct duel {
    const struct optimize_contest *contest;
    struct judge_board *board;
    struct apart *self;
    struct lab *labs[SIDES];
    size_t outputs;
    struct lab_tensor *results[SIDES]; /* owned arrays */
    size_t frame_count, inputs;
    struct lab_tensor *frames; /* owned, [frame_count][inputs], with their data */
};

static void duel_fini(struct duel *duel)
{
    for (size_t i = 0; duel->frames && i < duel->frame_count * duel->inputs; i++)
        free((void *)(uintptr_t)duel->frames[i].data);
    free(duel->frames);
    for (int side = 0; side < SIDES; side++) {
        lab_close(duel->labs[side]);
        free(duel->results[side]);
    }
}
#define cleanup_duel __attribute__((cleanup(duel_fini)))

static bool same_value(const struct lab_value *a, const struct lab_value *b)
{
    if (!str_eq(a->name, b->name) || a->dtype != b->dtype || a->dim_count != b->dim_count)
        return false;
    for (size_t i = 0; i < a->dim_count; i++)
        if (a->dims[i] >= 0 && b->dims[i] >= 0 && a->dims[i] != b->dims[i])
            return false;
    return true;
}

static int check_values(const struct duel *duel, const char *what, size_t (*count)(const struct lab *),
                        const struct lab_value *(*value)(const struct lab *, size_t), struct err *err)
{
    const struct lab *parent = duel->labs[0], *candidate = duel->labs[1];
    if (count(parent) != count(candidate))
        return err_set(err, ERR_REFUSED, "it has %zu %ss, the parent has %zu", count(candidate), what,
                       count(parent));
    for (size_t i = 0; i < count(parent); i++)
        if (!same_value(value(parent, i), value(candidate, i)))
            return err_set(err, ERR_REFUSED, "its %s %s has another name, type or shape than the parent's %s",
                           what, value(candidate, i)->name, value(parent, i)->name);
    return 0;
}

static int open_both(struct duel *duel, struct err *err)
{
    const struct optimize_contest *contest = duel->contest;
    if (open_lab(contest->parent_path, contest, &duel->labs[0], err) < 0)
        return -1;
    duel->board->blame = BLAME_CANDIDATE;
    if (open_lab(contest->candidate_path, contest, &duel->labs[1], err) < 0 ||
        check_values(duel, "input", lab_input_count, lab_input, err) < 0 ||
        check_values(duel, "output", lab_output_count, lab_output, err) < 0)
        return -1;
    duel->board->blame = BLAME_NOBODY;
    duel->outputs = lab_output_count(duel->labs[0]);
    duel->inputs = lab_input_count(duel->labs[0]);
    for (int side = 0; side < SIDES; side++) {
        duel->results[side] = mem_zalloc(duel->outputs + 1, sizeof *duel->results[side]);
        if (!duel->results[side])
            return err_no_memory(err);
    }
    return 0;
}

static int run_side(struct duel *duel, int side, const struct lab_tensor *inputs, struct err *err)
{
    duel->board->blame = side ? BLAME_CANDIDATE : BLAME_NOBODY;
    int result = lab_run(duel->labs[side], inputs, NULL, 0, duel->results[side], err);
    if (result == 0)
        duel->board->blame = BLAME_NOBODY;
    return result;
}

/* One class per sample: agreement is yes or no. */
static bool is_binary(const struct fidelity *fidelity, const struct lab_tensor *output)
{
    if (fidelity->kind != FIDELITY_CLASSES || fidelity->output_count != 1 || !output->dim_count)
        return false;
    return output->bytes == (size_t)output->dims[output->dim_count - 1] * sizeof(float);
}

static int measure_fidelity(struct duel *duel, struct err *err)
{
    const struct optimize_contest *contest = duel->contest;
    size_t first = samples_calibrate(contest->samples), count = samples_count(contest->samples) - first;
    count = MIN(count, (size_t)OPTIMIZE_MAX_HELD);
    for (size_t i = 0; i < count; i++) {
        const struct lab_tensor *inputs = NULL;
        apart_tell(duel->self, "fidelity", i, contest->latency ? 2 * count : count, err);
        if (samples_load(contest->samples, first + i, &inputs, err) < 0 ||
            run_side(duel, 0, inputs, err) < 0 || run_side(duel, 1, inputs, err) < 0)
            return -1;
        duel->board->fidelity[i] = fidelity_of(contest->fidelity, duel->results[0], duel->results[1]);
        duel->board->binary = is_binary(contest->fidelity, &duel->results[0][0]);
        duel->board->held = i + 1;
    }
    return 0;
}

/* ---- latency ---- */

static int keep_tensor(const struct lab_tensor *tensor, struct lab_tensor *out, struct err *err)
{
    *out = *tensor;
    out->data = mem_dup(tensor->data, MAX(tensor->bytes, (size_t)1));
    return out->data ? 0 : err_no_memory(err);
}

/* Held-out samples that take turns, so that a model whose time depends on what it sees is measured on more than one frame. */
static int keep_frames(struct duel *duel, struct err *err)
{
    struct samples *samples = duel->contest->samples;
    size_t all = samples_count(samples), first = samples_calibrate(samples), bytes = 0;
    first = first < all ? first : 0;
    duel->frames = mem_zalloc(FRAMES_MAX * MAX(duel->inputs, (size_t)1), sizeof *duel->frames);
    if (!duel->frames)
        return err_no_memory(err);
    for (size_t i = first; i < all && duel->frame_count < FRAMES_MAX; i++) {
        const struct lab_tensor *inputs = NULL;
        size_t size = 0;
        if (samples_load(samples, i, &inputs, err) < 0)
            return -1;
        for (size_t k = 0; k < duel->inputs; k++)
            size += inputs[k].bytes;
        if (duel->frame_count && bytes + size > FRAMES_BYTES)
            break;
        bytes += size;
        struct lab_tensor *frame = &duel->frames[duel->frame_count++ * duel->inputs];
        for (size_t k = 0; k < duel->inputs; k++)
            if (keep_tensor(&inputs[k], &frame[k], err) < 0)
                return -1;
    }
    return 0;
}

/* One round: both run the same frame; who begins changes from round to round. */
static int run_pair(struct duel *duel, size_t round, int64_t out_ns[SIDES], struct err *err)
{
    const struct lab_tensor *frame = &duel->frames[round % duel->frame_count * duel->inputs];
    for (int turn = 0; turn < SIDES; turn++) {
        int side = (int)((round + (size_t)turn) % SIDES);
        duel->board->blame = side ? BLAME_CANDIDATE : BLAME_NOBODY;
        if (lab_time(duel->labs[side], frame, &out_ns[side], err) < 0)
            return -1;
    }
    duel->board->blame = BLAME_NOBODY;
    return 0;
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t median(int64_t *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_ns);
    return values[count / 2];
}

/* Until a window's medians are those of the window before, for both: caches, frequencies and lazily made kernels are there then.
 * *out_ns: how long a pair takes. */
static int warm_up(struct duel *duel, int64_t *out_ns, struct err *err)
{
    int64_t last[SIDES] = {0}, until_ms = clock_mono_ms() + PAIRS_BUDGET_MS / 4;
    for (size_t window = 0; window < WARM_WINDOWS_MAX; window++) {
        int64_t ns[SIDES][WARM_WINDOW];
        bool settled = window > 0;
        for (size_t i = 0; i < WARM_WINDOW; i++) {
            int64_t pair[SIDES];
            if (run_pair(duel, window * WARM_WINDOW + i, pair, err) < 0)
                return -1;
            for (int side = 0; side < SIDES; side++)
                ns[side][i] = pair[side];
        }
        *out_ns = 0;
        for (int side = 0; side < SIDES; side++) {
            int64_t now = median(ns[side], WARM_WINDOW);
            settled = settled && llabs(now - last[side]) * 100 <= last[side] * SETTLED_PERCENT;
            last[side] = now;
            *out_ns += now;
        }
        if (settled || clock_mono_ms() >= until_ms)
            break;
    }
    return 0;
}

static int measure_latency(struct duel *duel, struct err *err)
{
    struct judge_board *board = duel->board;
    int64_t pair_ns = 0, pair[SIDES];
    apart_tell(duel->self, "warming up", 1, 2, err);
    if (keep_frames(duel, err) < 0 || warm_up(duel, &pair_ns, err) < 0)
        return -1;
    size_t affordable = (size_t)((int64_t)PAIRS_BUDGET_MS * 1000000 / MAX(pair_ns, (int64_t)1));
    size_t rounds = MIN(board->room, MAX(affordable, (size_t)PAIRS_MIN));
    for (size_t i = 0; i < rounds; i++) {
        apart_tell(duel->self, "latency", rounds + i, 2 * rounds, err);
        if (run_pair(duel, i, pair, err) < 0)
            return -1;
        board->latencies[i] = pair[0];
        board->latencies[board->room + i] = pair[1];
        board->pairs = i + 1;
    }
    return 0;
}

int judge_compare(void *arg, struct apart *self, struct err *err)
{
    const struct judge_task *task = arg;
    cleanup_duel struct duel duel = {.contest = task->contest, .board = task->board, .self = self};
    if (open_both(&duel, err) < 0 || measure_fidelity(&duel, err) < 0)
        return -1;
    return task->contest->latency ? measure_latency(&duel, err) : 0;
}
