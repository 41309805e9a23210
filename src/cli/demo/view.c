#include "cli/demo/view.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/fetch.h"
#include "wire/json.h"

enum { ANSWER_WITHIN_MS = 3000, MAX_WAVES = 16 };

struct viewer {
    const struct stage *stage;
    struct fetch *fetch;
};

int viewer_new(const struct stage *stage, struct viewer **out, struct err *err)
{
    struct viewer *viewer = mem_zalloc(1, sizeof *viewer);
    if (!viewer)
        return err_no_memory(err);
    viewer->stage = stage;
    struct fetch_options options = {.ca_path = stage_path(stage, "server/ca.pem")};
    if (fetch_new(&options, &viewer->fetch, err) < 0) {
        free(viewer);
        return -1;
    }
    *out = viewer;
    return 0;
}

void viewer_free(struct viewer *viewer)
{
    if (!viewer)
        return;
    fetch_free(viewer->fetch);
    free(viewer);
}

static int ask(struct viewer *viewer, const char *path, struct buf *out, struct err *err)
{
    char url[128];
    snprintf(url, sizeof url, "https://127.0.0.1:%u/api/v1/%s", viewer->stage->operator_port, path);
    struct fetch_request request = {
        .method = "GET", .url = url, .bearer = viewer->stage->token, .timeout_ms = ANSWER_WITHIN_MS};
    struct fetch_response response = {0};
    if (fetch_once(viewer->fetch, &request, &response, err) < 0)
        return -1;
    int rc = buf_put(out, response.body.data, response.body.len, err);
    buf_fini(&response.body);
    return rc;
}

static void number_or_unknown(struct json_at at, const char *key, double *out)
{
    *out = -1;
    if (json_has(at, key))
        json_get_double(at, key, 0, 1e12, out);
}

static void counter(struct json_at at, const char *key, uint64_t *out)
{
    int64_t value = 0;
    json_get_int(at, key, 0, INT64_MAX, &value);
    *out = (uint64_t)value;
}

static void version_of(struct json_at at, const char *key, char *out, size_t size)
{
    out[0] = 0;
    if (json_has(at, key))
        json_get_string(json_child(at, key), "version", out, size);
}

static void read_robot(struct json_at at, struct view_robot *out)
{
    json_get_string(at, "id", out->id, sizeof out->id);
    json_get_string(at, "presence", out->presence, sizeof out->presence);
    json_get_string(at, "phase", out->phase, sizeof out->phase);
    json_get_string(at, "phase_text", out->phase_text, sizeof out->phase_text);
    out->site[0] = 0;
    struct json_at labels = json_child(at, "labels");
    if (json_has(labels, "site"))
        json_get_string(labels, "site", out->site, sizeof out->site);
    version_of(at, "release", out->running, sizeof out->running);
    version_of(at, "target", out->target, sizeof out->target);
    counter(at, "frames", &out->frames);
    number_or_unknown(at, "latency_p50_ms", &out->latency_p50_ms);
    number_or_unknown(at, "latency_p99_ms", &out->latency_p99_ms);
    number_or_unknown(at, "intervention_share", &out->intervention_share);
    number_or_unknown(at, "accuracy_f1", &out->accuracy_f1);
}

static void read_release(struct json_at at, struct view_release *out)
{
    json_get_string(at, "version", out->version, sizeof out->version);
    json_get_string(at, "digest", out->digest, sizeof out->digest);
    struct json_at telemetry = json_child(at, "telemetry");
    counter(telemetry, "frames", &out->frames);
    counter(telemetry, "lost", &out->lost);
    number_or_unknown(telemetry, "latency_p50_ms", &out->latency_p50_ms);
    number_or_unknown(telemetry, "latency_p99_ms", &out->latency_p99_ms);
    number_or_unknown(telemetry, "intervention_share", &out->intervention_share);
    number_or_unknown(json_child(telemetry, "score"), "f1", &out->accuracy_f1);
}

static void read_rollout(struct json_at at, struct view_rollout *out)
{
    json_get_int(at, "id", 1, INT64_MAX, &out->id);
    json_get_string(at, "name", out->name, sizeof out->name);
    json_get_string(at, "state", out->state, sizeof out->state);
    json_get_string(at, "reason", out->reason, sizeof out->reason);
    version_of(at, "release", out->version, sizeof out->version);
    json_get_int(at, "wave", 0, MAX_WAVES, &out->wave_number);
    size_t waves = 0;
    struct json_at list = json_list(at, "waves", MAX_WAVES, &waves);
    out->wave_count = (int64_t)waves;
    out->members = 0;
    for (size_t i = 0; i < waves; i++) {
        struct json_at wave = json_as_object(json_item(list, i));
        size_t robots = 0;
        json_list(wave, "robots", 1 << 20, &robots);
        out->members += robots;
        if ((int64_t)i == out->wave_number)
            json_get_string(wave, "name", out->wave, sizeof out->wave);
    }
}

static int look_at_robots(struct viewer *viewer, struct view *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(4 << 20);
    struct json_reader reader;
    if (ask(viewer, "robots", &text, err) < 0 || json_read(&reader, "robots", text.data, text.len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "robots", STAGE_MAX_ROBOTS, &out->robot_count);
    for (size_t i = 0; i < MIN(out->robot_count, (size_t)STAGE_MAX_ROBOTS); i++)
        read_robot(json_as_object(json_item(list, i)), &out->robots[i]);
    return json_finish(&reader, err);
}

static int look_at_releases(struct viewer *viewer, struct view *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(4 << 20);
    struct json_reader reader;
    if (ask(viewer, "releases", &text, err) < 0 ||
        json_read(&reader, "releases", text.data, text.len, err) < 0)
        return -1;
    struct json_at list =
        json_list(json_root(&reader), "releases", ARRAY_LEN(out->releases), &out->release_count);
    for (size_t i = 0; i < MIN(out->release_count, ARRAY_LEN(out->releases)); i++)
        read_release(json_as_object(json_item(list, i)), &out->releases[i]);
    return json_finish(&reader, err);
}

static int look_at_rollout(struct viewer *viewer, struct view *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(4 << 20);
    struct json_reader reader;
    size_t count = 0;
    if (ask(viewer, "rollouts", &text, err) < 0 ||
        json_read(&reader, "rollouts", text.data, text.len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "rollouts", 1000, &count);
    out->rollout.id = 0;
    if (count > 0)
        read_rollout(json_as_object(json_item(list, 0)), &out->rollout);
    return json_finish(&reader, err);
}

int viewer_look(struct viewer *viewer, struct view *out, struct err *err)
{
    struct view fresh = *out;
    if (look_at_robots(viewer, &fresh, err) < 0 || look_at_releases(viewer, &fresh, err) < 0 ||
        look_at_rollout(viewer, &fresh, err) < 0)
        return -1;
    *out = fresh;
    return 0;
}

static int count_bytes_of(struct viewer *viewer, const char *robot, uint64_t *sum, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(4 << 20);
    struct json_reader reader;
    char path[96];
    size_t count = 0;
    snprintf(path, sizeof path, "robots/%s", robot);
    if (ask(viewer, path, &text, err) < 0 || json_read(&reader, path, text.data, text.len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "reports", 1000, &count);
    for (size_t i = 0; i < count; i++) {
        struct json_at report = json_as_object(json_item(list, i));
        char kind[32] = "";
        int64_t bytes = 0;
        json_get_string(report, "kind", kind, sizeof kind);
        json_get_int(report, "bytes", 0, INT64_MAX, &bytes);
        if (str_eq(kind, "downloaded"))
            *sum += (uint64_t)bytes;
    }
    return json_finish(&reader, err);
}

int viewer_count_bytes(struct viewer *viewer, struct view *view, struct err *err)
{
    view->bytes_moved = 0;
    for (size_t i = 0; i < view->robot_count; i++)
        if (count_bytes_of(viewer, view->robots[i].id, &view->bytes_moved, err) < 0)
            return -1;
    return 0;
}
