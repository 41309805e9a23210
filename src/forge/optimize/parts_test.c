/* The parts of a run that need no runtime: processor, progress, what is remembered, work apart, profiles as JSON, the page. */
#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/optimize/apart.h"
#include "forge/optimize/flow.h"
#include "forge/optimize/processor.h"
#include "forge/optimize/report.h"
#include "forge/optimize/state.h"
#include "forge/optimize/ticker.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static char dir[64];

static int scratch_make(void **state)
{
    struct err err = {0};
    char work[96];
    snprintf(dir, sizeof dir, "/tmp/muster-optimize-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(work, sizeof work, "%s/" OPTIMIZE_WORK, dir);
    return file_make_dirs(work, 0755, &err);
}

static int scratch_remove(void **state)
{
    struct err err = {0};
    return file_remove_tree(dir, &err);
}

/* ---- processor ---- */

static void processors_are_known_by_their_flags(void **state)
{
    struct processor p;
    processor_parse("x86_64", "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512_vnni\n",
                    &p);
    assert_true(p.vnni && !p.dot && str_eq(p.name, "Some CPU"));
    assert_true(processor_fits(&p, PROFILE_CPU_X86) && !processor_fits(&p, PROFILE_CPU_ARM));
    assert_int_equal(processor_weight_bits(&p, PROFILE_CPU_X86), 8);
    processor_parse("x86_64", "model name: Old\nflags: fpu avx2 avx512_vnni_not\n", &p);
    assert_false(p.vnni);
    assert_int_equal(processor_weight_bits(&p, PROFILE_CPU_X86), 7);
    assert_int_equal(processor_weight_bits(&p, PROFILE_CPU_ARM), 8);
    processor_parse("aarch64", "processor\t: 0\nFeatures\t: fp asimd asimddp\n", &p);
    assert_true(p.dot && str_eq(p.name, "aarch64") && processor_fits(&p, PROFILE_CPU_ARM));
    assert_false(processor_fits(&p, PROFILE_TRT));
    processor_parse("x86_64", "", &p);
    assert_true(str_eq(p.name, "x86_64") && !p.vnni);
}

/* ---- candidates ---- */

static void each_profile_gets_the_candidates_that_were_asked_for(void **state)
{
    static const struct {
        bool int8, half, sparse;
        const char *cpu, *trt;
    } rows[] = {{false, false, false, "int8 ", "int8+fp16 fp16 "},
                {true, false, false, "int8 ", "int8 "},
                {false, true, false, "fp16 ", "fp16 "},
                {true, true, false, "int8 fp16 ", "int8+fp16 fp16 "},
                {false, false, true, "int8 ", "int8+fp16-2of4 int8+fp16 fp16 "},
                {false, true, true, "fp16 ", "fp16-2of4 fp16 "}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (enum quant_profile profile = 0; profile < PROFILE_COUNT; profile++) {
            const struct optimize_job job = {
                .int8 = rows[i].int8, .half = rows[i].half, .sparse = rows[i].sparse};
            struct candidate_form forms[OPTIMIZE_MAX_ATTEMPTS];
            char names[80] = "";
            size_t count = candidate_list(&job, profile, forms), len = 0;
            assert_true(count >= 1 && count <= OPTIMIZE_MAX_ATTEMPTS);
            for (size_t k = 0; k < count; k++)
                len += (size_t)snprintf(names + len, sizeof names - len, "%s ", candidate_name(&forms[k]));
            assert_string_equal(names, profile == PROFILE_TRT ? rows[i].trt : rows[i].cpu);
        }
}

/* ---- progress ---- */

static void progress_never_goes_back_and_ends_at_the_end(void **state)
{
    struct ticker ticker = {0};
    ticker_add(&ticker, 1);
    ticker_add(&ticker, 3);
    ticker_begin(&ticker, 1);
    assert_int_equal(ticker_at(&ticker, 1, 2), TICKER_MAX / 8);
    assert_int_equal(ticker_at(&ticker, 0, 2), TICKER_MAX / 8); /* a second round of the same step */
    ticker_end(&ticker);
    ticker_begin(&ticker, 3);
    size_t last = 0;
    for (size_t i = 0; i <= 100; i++) {
        size_t now = ticker_at(&ticker, i, 100);
        assert_true(now >= last);
        last = now;
    }
    assert_int_equal(last, TICKER_MAX);
    ticker_end(&ticker);
    assert_int_equal(ticker_at(&ticker, 0, 0), TICKER_MAX);
}

/* ---- what is remembered ---- */

static void put(const char *name, const char *text)
{
    char path[128];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_ok(file_replace(path, text, strlen(text), 0644, &err), err);
}

static bool is_done(const char *step, const struct digest *key)
{
    cleanup_state struct state state;
    struct err err = {0};
    assert_ok(state_open(dir, &state, &err), err);
    return state_done(&state, step, key);
}

static void a_step_is_done_while_key_and_files_are_what_they_were(void **state)
{
    struct err err = {0};
    const struct digest key = hash_bytes("a", 1), other = hash_bytes("b", 1);
    const char *const files[] = {"one.onnx", "", "two.bin"};
    cleanup_state struct state book;
    assert_ok(state_open(dir, &book, &err), err);
    assert_false(state_done(&book, "step", &key));
    put("one.onnx", "1");
    put("two.bin", "2");
    assert_ok(state_record(&book, "step", &key, files, 3, &err), err);
    assert_ok(state_record(&book, "other", &other, NULL, 0, &err), err);
    assert_true(is_done("step", &key) && is_done("other", &other));
    assert_false(is_done("step", &other) || is_done("others", &key));
    put("two.bin", "3");
    assert_false(is_done("step", &key));
    put("two.bin", "2");
    assert_true(is_done("step", &key));
    char path[128];
    snprintf(path, sizeof path, "%s/one.onnx", dir);
    assert_int_equal(unlink(path), 0);
    assert_false(is_done("step", &key));
    assert_ok(state_forget(&book, "step", &err), err);
    put("one.onnx", "1");
    assert_false(is_done("step", &key));
    assert_true(is_done("other", &other));
}

static void a_spoilt_state_is_an_empty_one(void **state)
{
    const struct digest key = hash_bytes("a", 1);
    static const char *const spoilt[] = {
        "",
        "{",
        "[]",
        "{\"schema\": 2, \"steps\": []}",
        "{\"schema\": 1, \"steps\": [{\"step\": \"step\", \"key\": \"sha256:0\", \"files\": []}]}",
        "{\"schema\": 1, \"steps\": [{\"step\": \"step\", \"key\": "
        "\"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\", \"files\": [{\"path\": "
        "\"../../etc/passwd\", \"sha256\": "
        "\"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\"}]}]}"};
    for (size_t i = 0; i < ARRAY_LEN(spoilt); i++) {
        put(OPTIMIZE_WORK "/state.json", spoilt[i]);
        assert_false(is_done("step", &key));
    }
    put(OPTIMIZE_WORK "/state.json",
        "{\"schema\": 1, \"steps\": [{\"step\": \"step\", \"key\": "
        "\"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\", "
        "\"files\": []}]}");
    assert_true(is_done("step", &key)); /* so the others were refused for what is wrong with them */
}

/* ---- work apart ---- */

static int good_work(void *arg, struct apart *self, struct err *err)
{
    *(int *)arg = 42;
    return apart_tell(self, "working", 7, 9, err);
}

static int bad_work(void *arg, struct apart *self, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "there is no %s", "spoon");
}

static int dying_work(void *arg, struct apart *self, struct err *err)
{
    return raise(SIGKILL);
}

static int endless_work(void *arg, struct apart *self, struct err *err)
{
    while (pause() < 0) {
    }
    return 0;
}

static int note(void *arg, const char *what, size_t done, size_t total, struct err *err)
{
    snprintf(arg, 32, "%s %zu/%zu", what, done, total);
    return 0;
}

static int enough(void *arg, const char *what, size_t done, size_t total, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "enough");
}

static int complaining_work(void *arg, struct apart *self, struct err *err)
{
    signal(SIGABRT, SIG_DFL);
    fputs("a warning\nlibrary.h:7: Assertion failed.\n", stderr);
    abort();
}

static void work_apart_gives_back_what_it_did_or_why_not(void **state)
{
    struct err err = {0};
    char heard[32] = "";
    int *shared = apart_memory(sizeof *shared);
    assert_non_null(shared);
    struct apart_job job = {.work = good_work, .work_arg = shared, .progress = note, .arg = heard};
    assert_ok(apart_run(&job, &err), err);
    assert_int_equal(*shared, 42);
    assert_string_equal(heard, "working 7/9");
    apart_memory_free(shared, sizeof *shared);
    job = (struct apart_job){.work = bad_work};
    assert_fails(apart_run(&job, &err), err, ERR_NOT_FOUND);
    assert_string_equal(err.text, "there is no spoon");
    job.work = dying_work;
    assert_fails(apart_run(&job, &err), err, ERR_REFUSED);
    assert_non_null(strstr(err.text, "Killed"));
    job.work = complaining_work;
    assert_fails(apart_run(&job, &err), err, ERR_REFUSED);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    assert_string_equal(err.text, "its process died: Aborted (library.h:7: Assertion failed.)");
#endif
    job = (struct apart_job){.work = endless_work, .timeout_ms = 50};
    assert_fails(apart_run(&job, &err), err, ERR_TIMEOUT);
    job = (struct apart_job){.work = endless_work, .progress = enough};
    assert_fails(apart_run(&job, &err), err, ERR_CONFLICT);
}

/* ---- the report ---- */

static void fill(struct optimize_profile *p)
{
    optimize_profile_init(p, "cpu-x86");
    str_copy(p->precision, sizeof p->precision, "int8");
    str_copy(p->reason, sizeof p->reason, "2 times as <fast> & \"faithful\"");
    str_copy(p->path, sizeof p->path, "cpu-x86.onnx");
    p->promoted = p->measured_here = true;
    p->gate = (struct gate_answer){.parent_p50_ms = 4,
                                   .parent_p99_ms = 5,
                                   .candidate_p50_ms = 2,
                                   .candidate_p99_ms = 2.5,
                                   .speedup = 2,
                                   .faster_share = 1,
                                   .faster_share_lower = 0.98,
                                   .fidelity = 0.99,
                                   .fidelity_lower = 0.95};
    p->size_bytes = 1000000;
    p->parent_size_bytes = 4000000;
    p->excluded_count = 1;
    p->excluded = mem_zalloc(2, sizeof *p->excluded);
    p->sensitivity_count = 2;
    p->sensitivity = mem_zalloc(3, sizeof *p->sensitivity);
    assert_true(p->excluded && p->sensitivity);
    str_copy(p->excluded[0].node, sizeof p->excluded[0].node, "<script>alert(1)</script>");
    str_copy(p->excluded[0].op, sizeof p->excluded[0].op, "Concat");
    str_copy(p->excluded[0].why, sizeof p->excluded[0].why, "mixed ranges: 640 beside 1");
    p->sensitivity[0].sqnr_db = 12.5;
    p->sensitivity[1].sqnr_db = NAN;
    str_copy(p->sensitivity[0].node, sizeof p->sensitivity[0].node, "/model.0/conv/Conv");
    p->attempt_count = 1;
    p->attempts[0].promoted = true;
    str_copy(p->attempts[0].precision, sizeof p->attempts[0].precision, "int8");
}

static char *to_json(const struct optimize_profile *p)
{
    struct err err = {0};
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    report_write_profile(&w, p);
    char *text = jsonw_take(&w, &err);
    assert_non_null(text);
    return text;
}

static void a_profile_is_read_back_as_it_was_written(void **state)
{
    struct err err = {0};
    struct optimize_profile profiles[2], back;
    fill(&profiles[0]);
    optimize_profile_init(&profiles[1], "trt"); /* nothing measured */
    for (int i = 0; i < 2; i++) {
        cleanup_free char *text = to_json(&profiles[i]);
        assert_ok(report_read_profile("test", text, strlen(text), &back, &err), err);
        cleanup_free char *again = to_json(&back);
        assert_string_equal(text, again);
        assert_true(isnan(back.gate.speedup) == (i == 1));
        optimize_profile_fini(&back);
        for (size_t len = 0; len < strlen(text);
             len += 7) /* cut anywhere it is an error, and holds nothing */
            assert_int_equal(report_read_profile("test", text, len, &back, &err), -1);
    }
    optimize_profile_fini(&profiles[0]);
}

static void a_profile_that_leads_out_is_not_read(void **state)
{
    struct err err = {0};
    struct optimize_profile profile, back;
    fill(&profile);
    str_copy(profile.path, sizeof profile.path, "../cpu-x86.onnx");
    cleanup_free char *text = to_json(&profile);
    assert_fails(report_read_profile("test", text, strlen(text), &back, &err), err, ERR_INVALID);
    optimize_profile_fini(&profile);
}

static void the_page_stands_alone_and_escapes_all(void **state)
{
    struct err err = {0};
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    cleanup_free struct optimize_report *report = mem_zalloc(1, sizeof *report);
    assert_non_null(report);
    str_copy(report->model, sizeof report->model, "<b>&'\"\x01.onnx");
    report->max_drop = 0.1;
    report->profile_count = 2;
    fill(&report->profiles[0]);
    optimize_profile_init(&report->profiles[1], "trt");
    assert_ok(report_write_html(report, &out, &err), err);
    const char *html = buf_text(&out);
    assert_null(strstr(html, "<script"));
    assert_null(strstr(html, "<b>&'"));
    assert_non_null(strstr(html, "&lt;b&gt;&amp;&#39;&quot;&#xFFFD;.onnx"));
    assert_non_null(strstr(html, "&lt;script&gt;alert(1)"));
    assert_null(strstr(html, "http:"));
    assert_null(strstr(html, "https:"));
    assert_null(strstr(html, "nan"));
    assert_non_null(strstr(html, "prefers-color-scheme"));
    assert_non_null(strstr(html, "</html>"));
    assert_null(strstr(html, "trtexec"));
    report->profiles[1].promoted = true;
    str_copy(report->profiles[1].path, sizeof report->profiles[1].path, "trt.onnx");
    assert_ok(report_write_html(report, &out, &err), err);
    assert_non_null(strstr(buf_text(&out), "<code>trtexec --onnx=trt.onnx --saveEngine="));
    optimize_report_fini(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors_are_known_by_their_flags),
        cmocka_unit_test(each_profile_gets_the_candidates_that_were_asked_for),
        cmocka_unit_test(progress_never_goes_back_and_ends_at_the_end),
        cmocka_unit_test(a_step_is_done_while_key_and_files_are_what_they_were),
        cmocka_unit_test(a_spoilt_state_is_an_empty_one),
        cmocka_unit_test(work_apart_gives_back_what_it_did_or_why_not),
        cmocka_unit_test(a_profile_is_read_back_as_it_was_written),
        cmocka_unit_test(a_profile_that_leads_out_is_not_read),
        cmocka_unit_test(the_page_stands_alone_and_escapes_all),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
