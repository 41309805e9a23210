/* For the tests of this room: a scratch folder with release.yaml, golden pictures and one of
 * tests/data/models. */
#ifndef MUSTER_FORGE_FIXTURE_H
#define MUSTER_FORGE_FIXTURE_H

#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "picture/picture.h"
#include "sys/file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MODELS MUSTER_SOURCE_DIR "/tests/data/models/"

struct fixture {
    char dir[64];
    char yaml[128], out[128];
};

/* With the machines and the path of the model. */
#define FIXTURE_YAML                                                                                         \
    "schema: 1\n"                                                                                            \
    "name: quadrants\n"                                                                                      \
    "version: 1.0.0\n"                                                                                       \
    "task: detection\n"                                                                                      \
    "targets: [%s]\n"                                                                                        \
    "model:\n"                                                                                               \
    "  path: %s\n"                                                                                           \
    "  inputs: [{name: images, dtype: float32, shape: [1, 3, 16, 16]}]\n"                                    \
    "  outputs: [{name: output0, dtype: float32, shape: [1, 6, 4]}]\n"                                       \
    "preprocess: {color: rgb, layout: nchw, resize: letterbox}\n"                                            \
    "postprocess: {decoder: yolov8}\n"                                                                       \
    "labels: [red, green]\n"                                                                                 \
    "budgets: {latency_p99_ms: 40, deadline_ms: 60, memory_mib: 128}\n"                                      \
    "safe_state: stop\n"                                                                                     \
    "golden: {inputs: golden}\n"

/* A picture whose quadrant `quadrant` is red (channel 0) or green (1). */
static inline void fixture_picture(const char *path, int quadrant, int channel)
{
    struct err err = {0};
    struct picture picture = {0};
    assert_ok(picture_init(&picture, 16, 16, &err), err);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++)
            picture.rgb[3 * ((y + quadrant / 2 * 8) * 16 + x + quadrant % 2 * 8) + channel] = 230;
    assert_ok(picture_write_png(path, &picture, &err), err);
    picture_fini(&picture);
}

static inline void fixture_write(const char *path, const char *text)
{
    struct err err = {0};
    assert_ok(file_replace(path, text, strlen(text), 0644, &err), err);
}

static inline void fixture_write_yaml(const struct fixture *fixture, const char *model, const char *targets)
{
    cleanup_free char *path = mem_printf(MODELS "%s", model);
    cleanup_free char *text = mem_printf(FIXTURE_YAML, targets, path);
    fixture_write(fixture->yaml, text);
}

static inline void fixture_init(struct fixture *fixture)
{
    struct err err = {0};
    str_copy(fixture->dir, sizeof fixture->dir, "/tmp/muster-forge-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    snprintf(fixture->yaml, sizeof fixture->yaml, "%s/release.yaml", fixture->dir);
    snprintf(fixture->out, sizeof fixture->out, "%s/out", fixture->dir);
    cleanup_free char *golden = mem_printf("%s/golden", fixture->dir);
    assert_ok(file_make_dirs(golden, 0755, &err), err);
    for (int i = 0; i < 2; i++) {
        cleanup_free char *path = mem_printf("%s/%d.png", golden, i);
        fixture_picture(path, i, i);
    }
    fixture_write_yaml(fixture, "quadrants.onnx", "x86_64, aarch64");
}

static inline void fixture_fini(struct fixture *fixture)
{
    struct err err = {0};
    assert_ok(file_remove_tree(fixture->dir, &err), err);
}

#endif
