/* Graphs and their files: weights beside the model, paths that lead out, saving in place, saving where there is no room. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/str.h"
#include "forge/graph/inside.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { ELEMENTS = 1024, BYTES = ELEMENTS * sizeof(float) };

static char dir[64];
static float values[ELEMENTS];

static const char *in_dir(const char *name)
{
    static char paths[8][512];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t len)
{
    struct err err = {0};
    assert_ok(file_replace(in_dir(name), data, len, 0644, &err), err);
}

static int count_one(const char *name, void *arg)
{
    assert_null(strstr(name, FILE_TEMP_MARK));
    ++*(size_t *)arg;
    return 0;
}

/* None of them temporary. */
static size_t count_files(void)
{
    size_t count = 0;
    struct err err = {0};
    assert_ok(file_list(dir, count_one, &count, &err), err);
    return count;
}

/* ---- models: w ─▶ y, twice over ---- */

static int put_buf(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(arg, data, len, err);
}

static struct onnx_model *begin(void)
{
    struct onnx_model *model = onnx_model_new(8, 17);
    struct onnx_graph *graph = onnx_model_graph(model);
    static const char *const names[] = {"w", "y"};
    assert_non_null(onnx_model_add_node(model, "Identity", "n", names, 1, names + 1, 1));
    assert_non_null(
        onnx_model_add_value(model, &graph->outputs, &graph->output_count, "y", DTYPE_FLOAT32, NULL, 0));
    return model;
}

static void write_external(const char *location, uint64_t offset, uint64_t length)
{
    struct err err = {0};
    cleanup_onnx_model struct onnx_model *model = begin();
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    const struct onnx_weight weight = {
        .dtype = DTYPE_FLOAT32, .dim_count = 1, .dims = {ELEMENTS}, .external = {location, offset, length}};
    assert_non_null(onnx_model_keep_weight(model, &weight, "w"));
    const struct onnx_writer writer = {.put = put_buf, .arg = &out};
    assert_ok(onnx_model_write(model, &writer, &err), err);
    write_file("m.onnx", out.data, out.len);
}

static struct graph *open_model(const char *name)
{
    struct err err = {0};
    struct graph *graph = NULL;
    assert_ok(graph_open(in_dir(name), &graph, &err), err);
    return graph;
}

static void check_values(const struct graph *graph)
{
    const struct onnx_weight *weight = graph_tensor(graph, "w")->weight;
    assert_int_equal(weight->data.len, BYTES);
    assert_memory_equal(weight->data.data, values, BYTES);
}

static void refuse(enum err_code want)
{
    struct err err = {0};
    struct graph *graph = NULL;
    assert_fails(graph_open(in_dir("m.onnx"), &graph, &err), err, want);
    assert_null(strchr(err.text, '\n'));
}

/* ---- weights in other files ---- */

static void weights_are_read_from_beside_the_model(void **state)
{
    struct err err = {0};
    cleanup_free uint8_t *file = mem_zalloc(1, 4096 + BYTES);
    memcpy(file + 4096, values, BYTES);
    assert_ok(file_make_dirs(in_dir("sub"), 0755, &err), err);
    write_file("sub/w.bin", file, 4096 + BYTES);
    write_external("sub/w.bin", 4096, BYTES);
    cleanup_graph struct graph *graph = open_model("m.onnx");
    check_values(graph);
    write_external("sub/w.bin", 4096, 0); /* to the end */
    cleanup_graph struct graph *open_ended = open_model("m.onnx");
    check_values(open_ended);
}

static void paths_that_lead_out_are_refused(void **state)
{
    static const char *const bad[] = {"/etc/passwd",  "../etc/passwd", "sub/../../etc/passwd", "link",
                                      "linked/w.bin", "sub",           "sub/../sub/w.bin"};
    struct err err = {0};
    assert_ok(file_make_dirs(in_dir("sub"), 0755, &err), err);
    write_file("sub/w.bin", values, BYTES);
    assert_int_equal(symlink("sub/w.bin", in_dir("link")), 0);
    assert_int_equal(symlink("sub", in_dir("linked")), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_external(bad[i], 0, 0);
        refuse(ERR_REFUSED);
    }
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    write_external("pipe", 0, 0);
    refuse(ERR_REFUSED);
    write_external("none", 0, 0);
    refuse(ERR_NOT_FOUND);
}

static void links_are_not_followed_step_by_step_either(void **state)
{
    static const char *const bad[] = {"link", "linked/w.bin", "none", "sub/none", "sub/w.bin/x"};
    struct err err = {0};
    assert_ok(file_make_dirs(in_dir("sub"), 0755, &err), err);
    write_file("sub/w.bin", values, BYTES);
    write_file("w.bin", values, BYTES);
    assert_int_equal(symlink("sub/w.bin", in_dir("link")), 0);
    assert_int_equal(symlink("sub", in_dir("linked")), 0);
    cleanup_close int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int stepwise = 0; stepwise < 2; stepwise++) {
        cleanup_close int deep = graph_open_beneath(folder, "sub/w.bin", stepwise);
        cleanup_close int flat = graph_open_beneath(folder, "w.bin", stepwise);
        assert_true(deep >= 0 && flat >= 0);
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
            assert_int_equal(graph_open_beneath(folder, bad[i], stepwise), -1);
    }
}

static void places_beyond_the_end_are_refused(void **state)
{
    static const uint64_t bad[][2] = {{4, BYTES}, {UINT64_MAX, BYTES}, {UINT64_MAX - 3, 0},
                                      {BYTES, 0}, {0, BYTES - 4},      {0, UINT64_MAX}};
    write_file("w.bin", values, BYTES);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_external("w.bin", bad[i][0], bad[i][1]);
        refuse(ERR_INVALID);
    }
}

/* Beyond 4 GiB in a file with a hole. */
static void far_places_are_found(void **state)
{
    const uint64_t far_away = (uint64_t)5 << 30;
    cleanup_close int fd = open(in_dir("w.bin"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(pwrite(fd, values, BYTES, (off_t)far_away), BYTES);
    write_external("w.bin", far_away, BYTES);
    cleanup_graph struct graph *graph = open_model("m.onnx");
    check_values(graph);
}

/* ---- saving ---- */

static struct graph *with_weight(void)
{
    struct err err = {0};
    struct onnx_model *model = begin();
    struct graph *graph = NULL;
    const int64_t dims[] = {ELEMENTS};
    assert_non_null(onnx_model_add_weight(model, "w", DTYPE_FLOAT32, dims, 1, values));
    assert_ok(graph_of(model, &graph, &err), err);
    return graph;
}

static void one_file_or_two(void **state)
{
    struct err err = {0};
    cleanup_graph struct graph *graph = with_weight();
    assert_ok(graph_save(graph, in_dir("one.onnx"), &err), err);
    assert_int_equal(count_files(), 1);
    assert_ok(graph_save_within(graph, in_dir("two.onnx"), BYTES, &err), err);
    assert_int_equal(count_files(), 3);
    assert_true(file_exists(in_dir("two.onnx.data")));
    cleanup_graph struct graph *one = open_model("one.onnx"), *two = open_model("two.onnx");
    check_values(one);
    check_values(two);
    assert_int_equal(two->external_count, 1);
}

static void saving_over_what_is_open_is_fine(void **state)
{
    struct err err = {0};
    cleanup_graph struct graph *made = with_weight();
    assert_ok(graph_save_within(made, in_dir("m.onnx"), BYTES, &err), err);
    for (int i = 0; i < 3; i++) {
        cleanup_graph struct graph *graph = open_model("m.onnx");
        assert_ok(graph_save_within(graph, in_dir("m.onnx"), i == 1 ? INT32_MAX : BYTES, &err), err);
        check_values(graph);
        cleanup_graph struct graph *again = open_model("m.onnx");
        check_values(again);
    }
}

static void the_same_graph_gives_the_same_bytes(void **state)
{
    struct err err = {0};
    cleanup_graph struct graph *graph = with_weight();
    cleanup_buf struct buf formatted = BUF_INIT(1 << 20), saved = BUF_INIT(1 << 20);
    assert_ok(graph_save(graph, in_dir("a.onnx"), &err), err);
    assert_ok(graph_format(graph, &formatted, &err), err);
    assert_ok(file_read(in_dir("a.onnx"), &saved, &err), err);
    assert_int_equal(formatted.len, saved.len);
    assert_memory_equal(formatted.data, saved.data, saved.len);
}

static void without_room_the_old_one_stays(void **state)
{
    struct err err = {0};
    struct rlimit before, small;
    cleanup_graph struct graph *graph = with_weight();
    write_file("m.onnx", "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int one = graph_save(graph, in_dir("m.onnx"), &err);
    int two = graph_save_within(graph, in_dir("m.onnx"), BYTES, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(one, -1);
    assert_int_equal(two, -1);
    assert_int_equal(count_files(), 1);
    cleanup_buf struct buf old = BUF_INIT(100);
    assert_ok(file_read(in_dir("m.onnx"), &old, &err), err);
    assert_string_equal(buf_text(&old), "old");
    assert_fails(graph_save(graph, in_dir("none/m.onnx"), &err), err, ERR_NOT_FOUND);
}

/* ---- more than 2 GiB, without a disk that holds it ---- */

struct both {
    struct buf inside;
    uint64_t outside;
};

static int put_inside(void *arg, const void *data, size_t len, struct err *err)
{
    return buf_put(&((struct both *)arg)->inside, data, len, err);
}

static int count_outside(void *arg, const void *data, size_t len, struct err *err)
{
    ((struct both *)arg)->outside += len;
    return 0;
}

static void a_model_beyond_2_gib_needs_a_second_file(void **state)
{
    enum { SIZE = 256 << 20, WEIGHTS = 20 };
    struct err err = {0};
    cleanup_onnx_model struct onnx_model *model = begin(), *again = NULL;
    cleanup_close int fd = open(in_dir("hole"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(ftruncate(fd, SIZE), 0);
    cleanup_file_map struct file_map map = {0};
    assert_ok(file_map(in_dir("hole"), &map, &err), err);
    const struct onnx_weight weight = {
        .dtype = DTYPE_INT8, .dim_count = 1, .dims = {SIZE}, .data = {map.data, map.size}};
    for (int i = 0; i < WEIGHTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        assert_non_null(onnx_model_keep_weight(model, &weight, name));
    }
    struct both both = {.inside = BUF_INIT(1 << 20)};
    struct onnx_writer writer = {.put = put_inside, .arg = &both};
    assert_true(onnx_model_bytes(model, &writer) > (uint64_t)WEIGHTS * SIZE);
    assert_fails(onnx_model_write(model, &writer, &err), err, ERR_TOO_BIG);
    assert_int_equal(both.inside.len, 0);
    writer.put_external = count_outside;
    writer.external_location = "data";
    assert_ok(onnx_model_write(model, &writer, &err), err);
    assert_int_equal(both.outside, (uint64_t)WEIGHTS * SIZE);
    assert_ok(onnx_model_parse(both.inside.data, both.inside.len, &again, &err), err);
    const struct onnx_external *last = &onnx_model_graph(again)->weights[WEIGHTS - 1]->external;
    assert_int_equal(last->offset, (uint64_t)(WEIGHTS - 1) * SIZE); /* beyond 4 GiB */
    assert_int_equal(last->length, SIZE);
    buf_fini(&both.inside);
}

static int make_dir(void **state)
{
    str_copy(dir, sizeof dir, "/tmp/muster-graph-XXXXXX");
    for (size_t i = 0; i < ELEMENTS; i++)
        values[i] = (float)i;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(weights_are_read_from_beside_the_model),
        IN_DIR(paths_that_lead_out_are_refused),
        IN_DIR(links_are_not_followed_step_by_step_either),
        IN_DIR(places_beyond_the_end_are_refused),
        IN_DIR(far_places_are_found),
        IN_DIR(one_file_or_two),
        IN_DIR(saving_over_what_is_open_is_fine),
        IN_DIR(the_same_graph_gives_the_same_bytes),
        IN_DIR(without_room_the_old_one_stays),
        IN_DIR(a_model_beyond_2_gib_needs_a_second_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
