#include "forge/quant/run_inside.h"

#include "base/clock.h"
#include "base/mem.h"
#include "forge/calib/samples.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Every tensor begins at a multiple of 8. */
static size_t padded(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

/* ---- writing ---- */

static int open_nameless(const char *dir, int *out_fd, struct err *err)
{
    *out_fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*out_fd >= 0)
        return 0;
    cleanup_free char *path = mem_printf("%s/parent" FILE_TEMP_MARK "XXXXXX", dir);
    if (!path)
        return err_no_memory(err);
    *out_fd = mkostemp(path, O_CLOEXEC);
    if (*out_fd < 0)
        return err_errno(err, "%s", path);
    unlink(path);
    return 0;
}

static int put(int fd, const void *data, size_t len, struct err *err)
{
    const uint8_t *at = data;
    while (len) {
        ssize_t done = write(fd, at, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return err_errno(err, "answers of the model");
        at += done;
        len -= (size_t)done;
    }
    return 0;
}

static int put_answer(struct parent *parent, const struct lab_tensor *outputs, struct err *err)
{
    size_t size = parent->output_count * sizeof *outputs;
    if (put(parent->fd, outputs, size, err) < 0)
        return -1;
    for (size_t k = 0; k < parent->output_count; k++) {
        static const uint8_t padding[8];
        if (put(parent->fd, outputs[k].data, outputs[k].bytes, err) < 0 ||
            put(parent->fd, padding, padded(outputs[k].bytes) - outputs[k].bytes, err) < 0)
            return -1;
        size += padded(outputs[k].bytes);
    }
    parent->at[parent->count + 1] = parent->at[parent->count] + (off_t)size;
    parent->largest = MAX(parent->largest, size);
    parent->count++;
    return 0;
}

static int record_one(struct run *run, struct lab *lab, size_t i, struct err *err)
{
    const struct lab_tensor *inputs = NULL;
    struct lab_tensor outputs[RUN_MAX_OUTPUTS];
    if (samples_load(run->job->samples, i, &inputs, err) < 0)
        return -1;
    if (lab_run(lab, inputs, NULL, 0, outputs, err) < 0)
        return -1;
    return put_answer(&run->parent, outputs, err);
}

int parent_record(struct run *run, struct err *err)
{
    struct parent *parent = &run->parent;
    const struct lab_how how = {
        .runtime_path = run->job->runtime_path, .threads = run->threads, .level = LAB_ALL, .lean = true};
    cleanup_lab struct lab *lab = NULL;
    if (lab_open(run->job->model_path, NULL, 0, &how, &lab, err) < 0)
        return -1;
    parent->output_count = lab_output_count(lab);
    parent->at = mem_zalloc(run->compared + 1, sizeof *parent->at);
    if (!parent->at)
        return err_no_memory(err);
    if (parent->output_count > RUN_MAX_OUTPUTS)
        return err_set(err, ERR_UNSUPPORTED, "the model has %zu outputs, at most %d can be compared",
                       parent->output_count, RUN_MAX_OUTPUTS);
    if (open_nameless(run->job->work_dir, &parent->fd, err) < 0)
        return -1;
    for (size_t i = 0; i < run->compared; i++)
        if (run_tell(run, "answers of the model", i, run->compared, err) < 0 ||
            record_one(run, lab, i, err) < 0)
            return -1;
    parent->buffer = mem_zalloc(1, parent->largest + 1);
    return parent->buffer ? 0 : err_no_memory(err);
}

/* ---- reading ---- */

int parent_answer(struct parent *parent, size_t i, const struct lab_tensor **out, struct err *err)
{
    const size_t size = (size_t)(parent->at[i + 1] - parent->at[i]);
    for (size_t done = 0; done < size;) {
        ssize_t got =
            pread(parent->fd, (uint8_t *)parent->buffer + done, size - done, parent->at[i] + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_errno(err, "answers of the model");
        done += (size_t)got;
    }
    struct lab_tensor *tensors = parent->buffer;
    const uint8_t *data = (const uint8_t *)(tensors + parent->output_count);
    for (size_t k = 0; k < parent->output_count; k++) {
        tensors[k].data = data;
        data += padded(tensors[k].bytes);
    }
    *out = tensors;
    return 0;
}

void parent_fini(struct parent *parent)
{
    if (parent->fd >= 0)
        close(parent->fd);
    free(parent->at);
    free(parent->buffer);
    *parent = (struct parent){.fd = -1};
}
