/* A rollout's plan (wire/assignment.h): written from waves, and asked for one robot. */
#include "base/mem.h"
#include "base/str.h"
#include "wire/assignment.h"
#include "wire/json.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"
#include "wire/release.h"

enum { SCHEMA = 1, MAX_WAVES = 256 };

/* ---- writing ---- */

static json_t *from_wave(const struct plan_wave *wave)
{
    json_t *robots = json_array();
    for (size_t i = 0; i < wave->count; i++) {
        if (json_append(robots, json_string(wave->robots[i])) < 0) {
            json_decref(robots);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o}", "name", wave->name, "robots", robots);
}

char *plan_format(const struct digest *release, const char *name, const char *version, const char *rollout,
                  const struct plan_wave *waves, size_t wave_count)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < wave_count; i++)
        if (json_append(list, from_wave(&waves[i])) < 0)
            return NULL;
    return json_write_new(json_pack("{s:i, s:o, s:s, s:s, s:s, s:O}", "schema", SCHEMA, "release",
                                    json_from_digest(release), "name", name, "version", version, "rollout",
                                    rollout, "waves", list));
}

/* ---- reading ---- */

struct crowd { /* ids of all waves; borrowed from the document */
    size_t count;
    const char **robots;
};

static void read_robot(struct json_at at, struct crowd *crowd)
{
    char robot[64] = "";
    json_as_name(at, robot, sizeof robot);
    if (at.value && robot[0])
        crowd->robots[crowd->count++] = json_string_value(at.value);
}

static void read_wave(struct json_at at, struct crowd *crowd)
{
    char name[64];
    size_t count = 0;
    JSON_ONLY(at, "name", "robots");
    json_get_name(at, "name", name, sizeof name);
    struct json_at list = json_list(at, "robots", PLAN_MAX_ROBOTS - crowd->count, &count);
    for (size_t i = 0; i < count; i++)
        read_robot(json_item(list, i), crowd);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void read_waves(struct json_at root, struct crowd *crowd)
{
    size_t count = 0;
    struct json_at list = json_list(root, "waves", MAX_WAVES, &count);
    for (size_t i = 0; i < count; i++)
        read_wave(json_as_object(json_item(list, i)), crowd);
    qsort(crowd->robots, crowd->count, sizeof *crowd->robots, compare_ids);
    for (size_t i = 1; i < crowd->count; i++)
        if (str_eq(crowd->robots[i - 1], crowd->robots[i]))
            json_fail(root, "waves: %.63s stands in two places; a robot is in one wave only",
                      crowd->robots[i]);
}

struct plan_head {
    struct digest release;
    char name[64], version[64], rollout[64];
};

static void read_head(struct json_at root, struct plan_head *out)
{
    int64_t schema = 0;
    JSON_ONLY(root, "schema", "release", "name", "version", "rollout", "waves");
    json_get_int(root, "schema", SCHEMA, SCHEMA, &schema);
    json_get_digest(root, "release", &out->release);
    json_get_name(root, "name", out->name, sizeof out->name);
    json_get_string(root, "version", out->version, sizeof out->version);
    json_get_name(root, "rollout", out->rollout, sizeof out->rollout);
    if (!version_valid(out->version))
        json_fail(root, "version: is none");
}

static int judge(const struct plan_head *head, const struct crowd *crowd, const struct digest *release,
                 const char *robot, struct err *err)
{
    if (!digest_equal(&head->release, release)) {
        struct digest_text theirs = digest_format(&head->release);
        return err_set(err, ERR_REFUSED, "plan %s is for release %.19s…, another one", head->rollout,
                       theirs.text);
    }
    if (crowd->count == 0 ||
        !bsearch(&robot, crowd->robots, crowd->count, sizeof *crowd->robots, compare_ids))
        return err_set(err, ERR_REFUSED, "plan %s does not name robot %s", head->rollout, robot);
    return 0;
}

int plan_check(const void *text, size_t len, const struct digest *release, const char *robot, struct err *err)
{
    struct json_reader reader;
    struct plan_head head = {0};
    cleanup_free const char **robots = mem_zalloc(PLAN_MAX_ROBOTS, sizeof *robots);
    struct crowd crowd = {.robots = robots};
    if (!robots)
        return err_no_memory(err);
    if (len > PLAN_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "plan: %zu bytes, the limit is %d", len, PLAN_MAX_BYTES);
    if (json_read(&reader, "plan", text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    read_head(root, &head);
    read_waves(root, &crowd);
    struct err verdict = {0};
    int rc = judge(&head, &crowd, release, robot, &verdict); /* while the document still holds the names */
    if (json_finish(&reader, err) < 0)
        return -1;
    if (rc < 0)
        *err = verdict;
    return rc;
}
