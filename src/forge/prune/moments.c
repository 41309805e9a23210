#include "forge/prune/moments.h"

#include "forge/calib/watch.h"
#include "stats/linear.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_COLUMNS = 256, THREADS = 2 };

/* Which positions of sample `i`: first, first + step, … */
static size_t first_position(const struct consumer *consumer, size_t i)
{
    size_t spare = im2col_columns(&consumer->shape) - consumer->step * (consumer->count - 1);
    return (i * 7919 + 13) % MIN(spare, consumer->step);
}

static size_t target_bytes(const struct consumer *consumer)
{
    return consumer->count * consumer->m * sizeof(float);
}

/* ---- targets ---- */

struct recording {
    const struct feed *feed;
    struct consumer *consumers;
    size_t sample;
    float *row; /* room for the largest */
    struct err *err;
    bool failed;
};

static int put_at(int fd, const void *data, size_t len, uint64_t offset, struct err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t put = pwrite(fd, (const char *)data + done, len - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, "what the model says");
        done += (size_t)put;
    }
    return 0;
}

static int get_at(int fd, void *data, size_t len, uint64_t offset, struct err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t got = pread(fd, (char *)data + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "what the model says");
        if (got == 0)
            return err_set(err, ERR_CORRUPT, "what the model says is not all there");
        done += (size_t)got;
    }
    return 0;
}

/* m × count from a whole output. */
static void pick_outputs(const struct consumer *consumer, const float *output, size_t first, float *out)
{
    size_t all = im2col_columns(&consumer->shape);
    for (size_t o = 0; o < consumer->m; o++)
        for (size_t k = 0; k < consumer->count; k++) {
            size_t position = first + k * consumer->step;
            out[o * consumer->count + k] =
                consumer->rows_first ? output[position * consumer->m + o] : output[o * all + position];
        }
}

static void record(void *arg, size_t which, const struct lab_tensor *tensor)
{
    struct recording *recording = arg;
    const struct consumer *consumer = &recording->consumers[which];
    size_t bytes = im2col_columns(&consumer->shape) * consumer->m * sizeof(float);
    if (recording->failed)
        return;
    if (tensor->dtype != DTYPE_FLOAT32 || tensor->bytes != bytes) {
        err_set(recording->err, ERR_UNSUPPORTED, "%s: its output changes its shape", consumer->node);
        recording->failed = true;
        return;
    }
    pick_outputs(consumer, tensor->data, first_position(consumer, recording->sample), recording->row);
    recording->failed =
        put_at(recording->feed->targets, recording->row, target_bytes(consumer),
               consumer->offset + recording->sample * target_bytes(consumer), recording->err) < 0;
}

int targets_make(const struct feed *feed, struct consumer *consumers, size_t count, struct err *err)
{
    size_t samples = samples_calibrate(feed->samples), most = 1;
    uint64_t offset = 0;
    cleanup_free const char **names = mem_zalloc(count, sizeof *names);
    if (!names)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        names[i] = consumers[i].output;
        consumers[i].offset = offset;
        offset += samples * target_bytes(&consumers[i]);
        most = MAX(most, target_bytes(&consumers[i]));
    }
    cleanup_free float *row = mem_zalloc(most, 1);
    if (!row)
        return err_no_memory(err);
    struct recording recording = {.feed = feed, .consumers = consumers, .row = row, .err = err};
    cleanup_watched struct watched *watched = NULL;
    if (watched_open(feed->original_path, names, count, (struct lab_watch){.see = record, .arg = &recording},
                     feed->runtime_path, &watched, err) < 0)
        return -1;
    for (size_t i = 0; i < samples; i++) {
        recording.sample = i;
        if (watched_run(watched, feed->samples, i, err) < 0 || recording.failed)
            return -1;
    }
    return 0;
}

/* ---- moments ---- */

struct adding {
    const struct feed *feed;
    enum moments_kind kind;
    const struct consumer *consumer;
    const size_t *rows;
    struct moments *moments;
    double *target_sum;                         /* per output */
    float *columns, *x, *e, *targets, *outputs; /* all rows; those wanted; errors; of one sample */
};

static void adding_fini(struct adding *adding)
{
    free(adding->target_sum);
    free(adding->columns);
    free(adding->x);
    free(adding->e);
    free(adding->targets);
    free(adding->outputs);
}

static int allocate(struct adding *adding, size_t row_count, struct moments *out, struct err *err)
{
    const struct consumer *consumer = adding->consumer;
    size_t n = out->n = row_count, m = out->m = adding->kind == MOMENTS_ERROR ? consumer->m : 0;
    size_t targets = adding->feed->targets >= 0 ? target_bytes(consumer) : 0;
    out->g = mem_zalloc(n * n, sizeof *out->g);
    out->c = mem_zalloc(n * m + 1, sizeof *out->c);
    out->mean_x = mem_zalloc(n, sizeof *out->mean_x);
    out->mean_error = mem_zalloc(m + 1, sizeof *out->mean_error);
    adding->target_sum = mem_zalloc(consumer->m, sizeof(double));
    adding->columns = mem_zalloc(consumer->n * BLOCK_COLUMNS, sizeof(float));
    adding->x = mem_zalloc(n * BLOCK_COLUMNS, sizeof(float));
    adding->e = mem_zalloc(m * BLOCK_COLUMNS + 1, sizeof(float));
    adding->targets = mem_zalloc(1, targets + 1);
    adding->outputs = mem_zalloc(1, targets + 1);
    bool all = out->g && out->c && out->mean_x && out->mean_error && adding->target_sum && adding->columns &&
               adding->x && adding->e && adding->targets && adding->outputs;
    return all ? 0 : err_no_memory(err);
}

static void add_sums(double *sum, const float *rows, size_t n, size_t count)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < count; k++)
            sum[i] += (double)rows[i * count + k];
}

static double squares(const float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    return sum;
}

static void add_block(struct adding *adding, size_t count)
{
    struct moments *moments = adding->moments;
    linear_gram_add(moments->g, adding->x, moments->n, count);
    add_sums(moments->mean_x, adding->x, moments->n, count);
    linear_cross_add(moments->c, adding->x, moments->n, adding->e, moments->m, count);
    add_sums(moments->mean_error, adding->e, moments->m, count);
    moments->error += squares(adding->e, moments->m * count);
    moments->columns += count;
}

/* What it should have said, and by how much it did not (all outputs). */
static int add_targets(struct adding *adding, const float *output, size_t sample, struct err *err)
{
    const struct consumer *consumer = adding->consumer;
    if (adding->feed->targets < 0)
        return 0;
    if (get_at(adding->feed->targets, adding->targets, target_bytes(consumer),
               consumer->offset + sample * target_bytes(consumer), err) < 0)
        return -1;
    add_sums(adding->target_sum, adding->targets, consumer->m, consumer->count);
    adding->moments->energy += squares(adding->targets, consumer->m * consumer->count);
    if (adding->kind == MOMENTS_ERROR)
        pick_outputs(consumer, output, first_position(consumer, sample), adding->outputs);
    return 0;
}

static int add_sample(struct adding *adding, const float *input, const float *output, size_t sample,
                      struct err *err)
{
    const struct consumer *consumer = adding->consumer;
    size_t first = first_position(consumer, sample);
    if (add_targets(adding, output, sample, err) < 0)
        return -1;
    for (size_t done = 0; done < consumer->count; done += BLOCK_COLUMNS) {
        size_t count = MIN(consumer->count - done, (size_t)BLOCK_COLUMNS);
        im2col_fill(&consumer->shape, input, 0, first + done * consumer->step, consumer->step, count,
                    adding->columns);
        for (size_t i = 0; i < adding->moments->n; i++)
            memcpy(adding->x + i * count, adding->columns + adding->rows[i] * count, count * sizeof(float));
        for (size_t o = 0; o < adding->moments->m; o++)
            for (size_t k = 0; k < count; k++) {
                size_t at = o * consumer->count + done + k;
                adding->e[o * count + k] = adding->targets[at] - adding->outputs[at];
            }
        add_block(adding, count);
    }
    return 0;
}

/* From sums to sums about the means, if a bias can make up for these. */
static void finish(struct adding *adding)
{
    struct moments *moments = adding->moments;
    bool biased = adding->consumer->biased;
    double columns = moments->columns ? (double)moments->columns : 1;
    for (size_t o = 0; o < adding->consumer->m && biased; o++)
        moments->energy -= adding->target_sum[o] * adding->target_sum[o] / columns;
    for (size_t i = 0; i < moments->n; i++)
        moments->mean_x[i] = biased ? moments->mean_x[i] / columns : 0;
    for (size_t o = 0; o < moments->m; o++) {
        moments->mean_error[o] = biased ? moments->mean_error[o] / columns : 0;
        moments->error -= columns * moments->mean_error[o] * moments->mean_error[o];
    }
    for (size_t i = 0; i < moments->n; i++) {
        for (size_t j = 0; j <= i; j++)
            moments->g[i * moments->n + j] -= columns * moments->mean_x[i] * moments->mean_x[j];
        for (size_t o = 0; o < moments->m; o++)
            moments->c[i * moments->m + o] -= columns * moments->mean_x[i] * moments->mean_error[o];
    }
    linear_mirror(moments->g, moments->n);
}

static int add_samples(struct adding *adding, const char *part_path, struct err *err)
{
    const struct consumer *consumer = adding->consumer;
    size_t in_bytes =
        consumer->shape.channels * consumer->shape.height * consumer->shape.width * sizeof(float);
    size_t out_bytes = im2col_columns(&consumer->shape) * consumer->m * sizeof(float);
    cleanup_lab struct lab *lab = NULL;
    struct lab_how how = {
        .runtime_path = adding->feed->runtime_path, .level = LAB_EXTENDED, .lean = true, .threads = THREADS};
    size_t samples = samples_calibrate(adding->feed->samples);
    if (adding->feed->samples_wanted && adding->feed->samples_wanted < samples)
        samples = adding->feed->samples_wanted;
    if (lab_open(part_path, NULL, 0, &how, &lab, err) < 0)
        return -1;
    for (size_t i = 0; i < samples; i++) {
        const struct lab_tensor *inputs;
        struct lab_tensor seen[2] = {0};
        if (samples_load(adding->feed->samples, i, &inputs, err) < 0 ||
            lab_run(lab, inputs, NULL, 0, seen, err) < 0)
            return -1;
        if (seen[0].dtype != DTYPE_FLOAT32 || seen[0].bytes != in_bytes ||
            (adding->kind == MOMENTS_ERROR && seen[1].bytes != out_bytes))
            return err_set(err, ERR_UNSUPPORTED, "%s: its input changes its shape", consumer->node);
        if (add_sample(adding, seen[0].data, seen[1].data, i, err) < 0)
            return -1;
    }
    return 0;
}

int moments_of(const struct feed *feed, enum moments_kind kind, const char *model_path,
               const struct consumer *consumer, const size_t *rows, size_t row_count, struct moments *out,
               struct err *err)
{
    *out = (struct moments){0};
    __attribute__((cleanup(adding_fini))) struct adding adding = {
        .feed = feed, .kind = kind, .consumer = consumer, .rows = rows, .moments = out};
    cleanup_free char *part_path = mem_printf("%s/prune-part.onnx", feed->work_dir);
    const char *names[] = {consumer->input, consumer->output};
    if (!part_path)
        return err_no_memory(err);
    int result = allocate(&adding, row_count, out, err);
    if (result == 0)
        result = gram_cut(model_path, names, kind == MOMENTS_ERROR ? 2 : 1, part_path, err);
    if (result == 0)
        result = add_samples(&adding, part_path, err);
    unlink(part_path);
    if (result < 0)
        moments_fini(out);
    else
        finish(&adding);
    return result;
}

void moments_fini(struct moments *moments)
{
    free(moments->g);
    free(moments->c);
    free(moments->mean_x);
    free(moments->mean_error);
    *moments = (struct moments){0};
}
