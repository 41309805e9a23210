/* What one frame costs besides the model: no allocation of ours, no copy of the frame. The engine's own allocations inside Run()
 * are counted apart and told, not asserted: they are not ours to avoid. */
#include "infer/tasks_testing.h"

#include "infer/pipeline_inside.h"

#include <stdatomic.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#else
#define COUNTS 1
#endif

enum where { NOWHERE, OURS, IN_RUN, PLACES };

static _Atomic int where; /* process-wide: an allocation by any thread counts */
static _Atomic uint64_t counted[PLACES];

#if COUNTS
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void count(void)
{
    atomic_fetch_add(&counted[atomic_load(&where)], 1);
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t items, size_t size)
{
    count();
    return __libc_calloc(items, size);
}

void *realloc(void *old, size_t size)
{
    count();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    count();
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : 12;
}
#endif

static int run_counted(struct backend_model *model, size_t binding, struct err *err)
{
    atomic_store(&where, IN_RUN);
    int done = ort_backend.run(model, binding, err);
    atomic_store(&where, OURS);
    return done;
}

static void process_counted(const char *what, struct pipeline *pipeline, const struct pipeline_frame *frames,
                            size_t frame_count)
{
    enum { ROUNDS = 500 };
    struct backend counting = *pipeline->backend;
    static struct detection detections[128];
    static float values[PIPELINE_MAX_VALUES];
    struct pipeline_result result = {
        .detections = detections, .max_detections = 128, .values = values, .max_values = PIPELINE_MAX_VALUES};
    struct pipeline_times times;
    struct err err = {0};
    int failed = 0;
    counting.run = run_counted;
    pipeline->backend = &counting;
    for (size_t i = 0; i < frame_count; i++)
        assert_ok(pipeline_process(pipeline, &frames[i], &result, &times, &err), err);
    memset((void *)counted, 0, sizeof counted);
    atomic_store(&where, OURS);
    for (int round = 0; round < ROUNDS; round++)
        failed += pipeline_process(pipeline, &frames[round % (int)frame_count], &result, &times, &err) < 0;
    atomic_store(&where, NOWHERE);
    pipeline->backend = &ort_backend;
    assert_int_equal(failed, 0);
    print_message("%s: allocations per frame: ours %g, inside Run() %g\n", what,
                  (double)counted[OURS] / ROUNDS, (double)counted[IN_RUN] / ROUNDS);
    assert_int_equal(counted[OURS], 0);
    if (COUNTS)
        assert_true(counted[IN_RUN] > 0); /* the counter counts */
}

static void a_frame_of_floats_costs_no_allocation_and_no_copy(void **state)
{
    enum { FLOATS = 64, SLOTS = 8 };
    struct release release = sum_release(FLOATS);
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    struct pipeline_options options = {.deadlines = true};
    assert_ok(pipeline_open(sum_model(FLOATS), &release, &options, &pipeline, &err), err);
    static float ring[SLOTS][FLOATS];
    const void *slots[SLOTS];
    struct pipeline_frame frames[SLOTS];
    for (size_t i = 0; i < SLOTS; i++) {
        ring[i][i] = 1;
        slots[i] = ring[i];
        frames[i] = (struct pipeline_frame){
            .data = ring[i], .width = FLOATS, .height = 1, .deadline_ns = INT64_MAX / 2};
    }
    assert_ok(pipeline_bind_frames(pipeline, slots, SLOTS, &err), err);
    process_counted("floats, memory, deadline", pipeline, frames, SLOTS);
    static const float zeros[FLOATS];
    assert_memory_equal(pipeline->inputs[0], zeros, sizeof zeros); /* nothing was ever put there */
    pipeline_close(pipeline);
}

static void a_picture_costs_no_allocation(void **state)
{
    enum { WIDTH = 20, HEIGHT = 12 };
    struct release release = values_release(1, 1);
    release.frame = FRAME_RGB8;
    release.inputs[0] = (struct tensor_spec){
        .name = "images", .dtype = DTYPE_FLOAT32, .dim_count = 4, .dims = {1, 3, 16, 16}};
    release.outputs[0] =
        (struct tensor_spec){.name = "output0", .dtype = DTYPE_FLOAT32, .dim_count = 3, .dims = {1, 6, 4}};
    release.preprocess.scale = 1.0 / 255;
    for (int c = 0; c < 3; c++)
        release.preprocess.std[c] = 1;
    release.label_count = 2;
    release.postprocess.decoder = DECODER_YOLOV8;
    release.postprocess.score_threshold = 0.1;
    release.postprocess.iou_threshold = 0.5;
    release.postprocess.max_detections = 100;
    struct pipeline *pipeline = NULL;
    struct err err = {0};
    assert_ok(
        pipeline_open(MUSTER_SOURCE_DIR "/tests/data/models/quadrants.onnx", &release, NULL, &pipeline, &err),
        err);
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    memset(rgb, 200, sizeof rgb);
    const struct pipeline_frame frame = {.data = rgb, .width = WIDTH, .height = HEIGHT};
    process_counted("pictures, resized", pipeline, &frame, 1);
    pipeline_close(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_frame_of_floats_costs_no_allocation_and_no_copy,
                                        scratch_with_runtime, scratch_close),
        cmocka_unit_test_setup_teardown(a_picture_costs_no_allocation, scratch_with_runtime, scratch_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
