#include "wire/rollout.h"
#include "wire/wire_testing.h"

static const char yaml_sample[] = "name: detector-2\n"
                                  "release: detector:2.0.0\n"
                                  "select: {site: north}\n"
                                  "waves:\n"
                                  "  - {name: canary, count: 2, bake_s: 30}\n"
                                  "  - {name: half, percent: 50, bake_s: 30}\n"
                                  "  - {name: all, percent: 100, bake_s: 10}\n"
                                  "gates:\n"
                                  "  max_failures: 0\n"
                                  "  max_over_budget_share: 0.05\n"
                                  "  max_intervention_share: 0.05\n"
                                  "  min_accuracy: 0.5\n"
                                  "  min_frames: 50\n"
                                  "  alpha: 0.01\n"
                                  "on_failure: rollback\n"
                                  "wave_timeout_s: 900\n";

static const char json_sample[] =
    "{\"gates\":{\"alpha\":0.01,\"max_failures\":0,\"max_intervention_share\":0.05,\"max_over_budget_share\":"
    "0.05,"
    "\"min_accuracy\":0.5,\"min_frames\":50},\"name\":\"detector-2\",\"on_failure\":\"rollback\","
    "\"release\":\"detector:2.0.0\",\"select\":{\"site\":\"north\"},\"wave_timeout_s\":900,"
    "\"waves\":[{\"bake_s\":30,\"count\":2,\"name\":\"canary\"},{\"bake_s\":30,\"name\":\"half\",\"percent\":"
    "50},"
    "{\"bake_s\":10,\"name\":\"all\",\"percent\":100}]}";

static int parse_json(const void *text, size_t len, struct err *err)
{
    struct rollout_spec spec;
    return rollout_spec_parse(text, len, &spec, err);
}

static int parse_yaml(const void *text, size_t len, struct err *err)
{
    struct rollout_spec spec;
    return rollout_spec_parse_yaml("rollout.yaml", text, len, &spec, err);
}

static void the_example_of_the_header_reads_as_it_says(void **state)
{
    struct err err = {0};
    struct rollout_spec spec;
    assert_ok(rollout_spec_parse_yaml("rollout.yaml", yaml_sample, strlen(yaml_sample), &spec, &err), err);
    assert_int_equal(spec.wave_count, 3);
    assert_int_equal(spec.waves[0].count, 2);
    assert_true(spec.waves[0].percent == 0 && spec.waves[1].count == 0 && spec.waves[1].percent == 50);
    assert_string_equal(spec.select[0].key, "site");
    assert_string_equal(spec.select[0].value, "north");
    assert_false(spec.pause_on_failure);
    cleanup_free char *text = rollout_spec_format(&spec);
    assert_string_equal(text, json_sample);
}

static void what_is_left_out_is_not_asked(void **state)
{
    static const char text[] = "name: x\nrelease: sha256:"
                               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
                               "waves: [{name: all, percent: 100, bake_s: 0}]\n";
    struct err err = {0};
    struct rollout_spec spec, back;
    assert_ok(rollout_spec_parse_yaml("rollout.yaml", text, strlen(text), &spec, &err), err);
    assert_int_equal(spec.select_count, 0);
    assert_true(spec.gates.max_failures < 0 && spec.gates.max_over_budget_share < 0);
    assert_true(spec.gates.max_intervention_share < 0 && spec.gates.min_accuracy < 0);
    assert_true(spec.gates.min_frames == 1 && spec.gates.alpha == 0.01 && spec.wave_timeout_s == 900);
    cleanup_free char *json = rollout_spec_format(&spec);
    assert_ok(rollout_spec_parse(json, strlen(json), &back, &err), err);
    assert_memory_equal(&spec, &back, sizeof spec);
}

/* ---- random specs ---- */

static void random_waves(uint64_t *random, struct rollout_spec *out)
{
    int64_t count = 0;
    double percent = 0;
    out->wave_count = 1 + random_below(random, ROLLOUT_MAX_WAVES);
    for (size_t i = 0; i < out->wave_count; i++) {
        struct rollout_wave *wave = &out->waves[i];
        snprintf(wave->name, sizeof wave->name, "wave-%zu", i);
        wave->bake_s = (int64_t)random_below(random, 100000);
        if (random_below(random, 2))
            wave->count = count += 1 + (int64_t)random_below(random, 50);
        else
            wave->percent = percent += random_between(random, 0.01, 6);
    }
}

static void random_labels(uint64_t *random, struct rollout_spec *out)
{
    out->select_count = random_below(random, API_MAX_LABELS + 1);
    for (size_t i = 0; i < out->select_count; i++) {
        snprintf(out->select[i].key, sizeof out->select[i].key, "k%02zu", i);
        random_name(random, out->select[i].value, sizeof out->select[i].value - 1);
    }
}

static double maybe_share(uint64_t *random)
{
    return random_below(random, 3) ? random_between(random, 0.001, 0.999) : -1;
}

static void random_spec(uint64_t *random, struct rollout_spec *out)
{
    memset(out, 0, sizeof *out);
    random_name(random, out->name, sizeof out->name - 1);
    random_name(random, out->release, 40);
    str_copy(out->release + strlen(out->release), 16, ":1.2.3-rc.4");
    random_labels(random, out);
    random_waves(random, out);
    out->gates.max_drift = (int64_t)random_below(random, 5) - 1;
    out->gates.max_failures = (int64_t)random_below(random, 9) - 1;
    out->gates.max_over_budget_share = maybe_share(random);
    out->gates.max_intervention_share = maybe_share(random);
    out->gates.min_accuracy = maybe_share(random);
    out->gates.min_recall = maybe_share(random);
    out->gates.min_precision = maybe_share(random);
    out->gates.max_false_alarms_per_hour = random_below(random, 2) ? random_between(random, 1e-3, 1e3) : -1;
    out->gates.max_false_alarm_ratio = random_below(random, 2) ? random_between(random, 1e-3, 99) : -1;
    out->gates.min_frames = (int64_t)random_below(random, 5000);
    out->gates.alpha = random_between(random, 1e-6, 0.5);
    out->pause_on_failure = random_below(random, 2);
    out->wave_timeout_s = 1 + (int64_t)random_below(random, 90000);
}

static void any_spec_survives_the_round_trip(void **state)
{
    uint64_t random = 7;
    for (int i = 0; i < 500; i++) {
        struct err err = {0};
        struct rollout_spec before, after;
        random_spec(&random, &before);
        cleanup_free char *text = rollout_spec_format(&before);
        assert_ok(rollout_spec_parse(text, strlen(text), &after, &err), err);
        assert_memory_equal(&before, &after, sizeof before);
        assert_ok(rollout_spec_parse_yaml("rollout.yaml", text, strlen(text), &after, &err),
                  err); /* JSON is YAML */
        assert_memory_equal(&before, &after, sizeof before);
    }
}

static void every_message_is_strict(void **state)
{
    static const char *const optional[] = {"site",
                                           "select",
                                           "gates",
                                           "alpha",
                                           "max_failures",
                                           "max_drift",
                                           "max_intervention_share",
                                           "max_over_budget_share",
                                           "min_accuracy",
                                           "min_recall",
                                           "min_precision",
                                           "max_false_alarms_per_hour",
                                           "max_false_alarm_ratio",
                                           "min_frames",
                                           "on_failure",
                                           "wave_timeout_s",
                                           "count",
                                           "percent",
                                           NULL};
    every_member_is_needed(parse_json, json_sample, optional);
    every_truncation_fails(parse_json, json_sample, strlen(json_sample));
    no_flip_crashes(parse_json, json_sample, strlen(json_sample));
    no_truncation_crashes(parse_yaml, yaml_sample, strlen(yaml_sample));
    no_flip_crashes(parse_yaml, yaml_sample, strlen(yaml_sample));
    static const char *const surplus[] = {"\"max_failures\"", "\"on_failure\"", "\"bake_s\""};
    for (size_t i = 0; i < ARRAY_LEN(surplus); i++) {
        struct err err;
        const char *at = strstr(json_sample, surplus[i]);
        cleanup_free char *text = mem_printf("%.*s\"typo\":1,%s", (int)(at - json_sample), json_sample, at);
        assert_int_equal(decode_copy(parse_json, text, strlen(text), &err), -1);
        assert_non_null(strstr(err.text, "typo: is unknown"));
    }
}

static void wrong_values_are_refused(void **state)
{
    static const char *const bad[][2] = {
        {"detector:2.0.0", "detector"},
        {"detector:2.0.0", "detector:2.0"},
        {"detector:2.0.0", ":2.0.0"},
        {"detector:2.0.0", "a/b:2.0.0"},
        {"detector:2.0.0", "sha256:00"},
        {"name: detector-2", "name: a b"},
        {"{site: north}", "{site: [north]}"},
        {"{site: north}", "{site: 1}"},
        {"{site: north}", "{\"a/b\": north}"},
        {"{site: north}", "{\"\": north}"},
        {"{site: north}", "{a-key-of-more-than-thirty-one-bytes: north}"},
        {"{site: north}", "{a: x, b: x, c: x, d: x, e: x, f: x, g: x, h: x, i: x, j: x, k: x, l: x, m: x, n: "
                          "x, o: x, p: x, q: x}"},
        {"count: 2", "count: 0"},
        {"count: 2", "count: -1"},
        {"count: 2", "count: 2, percent: 3"},
        {"count: 2, ", ""},
        {"percent: 50", "percent: 0"},
        {"percent: 50", "percent: 101"},
        {"percent: 50", "percent: 100"},
        {"percent: 50", "count: 2"},
        {"name: half", "name: canary"},
        {"bake_s: 30", "bake_s: -1"},
        {"bake_s: 30", "bake_s: 1.5"},
        {"max_failures: 0", "max_failures: -1"},
        {"max_over_budget_share: 0.05", "max_over_budget_share: 0"},
        {"max_over_budget_share: 0.05", "max_over_budget_share: 1"},
        {"max_intervention_share: 0.05", "max_intervention_share: -1"},
        {"min_accuracy: 0.5", "min_accuracy: 1.5"},
        {"min_frames: 50", "min_frames: -1"},
        {"alpha: 0.01", "alpha: 0"},
        {"alpha: 0.01", "alpha: 1"},
        {"on_failure: rollback", "on_failure: ignore"},
        {"wave_timeout_s: 900", "wave_timeout_s: 0"},
    };
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *at = strstr(yaml_sample, bad[i][0]);
        assert_non_null(at);
        cleanup_free char *text =
            mem_printf("%.*s%s%s", (int)(at - yaml_sample), yaml_sample, bad[i][1], at + strlen(bad[i][0]));
        if (decode_copy(parse_yaml, text, strlen(text), &err) == 0)
            fail_msg("taken: \"%s\" for \"%s\"", bad[i][1], bad[i][0]);
    }
    static const char no_waves[] = "{\"name\":\"a\",\"release\":\"a:1.0.0\",\"waves\":[]}";
    assert_int_equal(decode_copy(parse_json, no_waves, strlen(no_waves), &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_header_reads_as_it_says),
        cmocka_unit_test(what_is_left_out_is_not_asked),
        cmocka_unit_test(any_spec_survives_the_round_trip),
        cmocka_unit_test(every_message_is_strict),
        cmocka_unit_test(wrong_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
