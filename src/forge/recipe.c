#include "forge/recipe_inside.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/floats.h"
#include "picture/picture.h"
#include "sys/file.h"
#include "wire/golden.h"
#include "wire/json.h"

#include <glob.h>
#include <sys/stat.h>

enum { YAML_MAX = 256 << 10 };

char *recipe_beside(const char *yaml_path, const char *path)
{
    const char *slash = strrchr(yaml_path, '/');
    if (path[0] == '/' || !slash)
        return mem_strdup(path);
    return mem_printf("%.*s/%s", (int)(slash - yaml_path), yaml_path, path);
}

static int put_beside(const char *yaml_path, const char *path, char **out, struct err *err)
{
    *out = recipe_beside(yaml_path, path);
    return *out ? 0 : err_no_memory(err);
}

static bool is_time(const char *text)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:ddZ";
    if (strlen(text) != strlen(shape))
        return false;
    for (size_t i = 0; shape[i]; i++)
        if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
            return false;
    return true;
}

static void read_profile(struct json_at root, struct recipe_extras *out)
{
    if (json_has(root, "tap"))
        json_get_line(root, "tap", out->tap, sizeof out->tap);
    if (!json_has(root, "profile"))
        return;
    if (json_has_text(root, "profile")) {
        json_get_line(root, "profile", out->profile, sizeof out->profile);
        return;
    }
    struct json_at at = json_child(root, "profile");
    JSON_ONLY(at, "calib", "save");
    json_get_line(at, "calib", out->calib, sizeof out->calib);
    if (json_has(at, "save"))
        json_get_line(at, "save", out->profile_save, sizeof out->profile_save);
}

/* What release_parse_yaml leaves to the packer. */
static int read_extras(const char *name, const struct buf *text, struct recipe_extras *out, struct err *err)
{
    static const char *const documents[RECIPE_YAML_DOCUMENTS] = {"evaluation", "recipe"};
    struct json_reader reader;
    if (yaml_read(&reader, name, text->data, text->len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    json_get_line(json_child(root, "golden"), "inputs", out->inputs, sizeof out->inputs);
    struct json_at model = json_child(root, "model");
    if (json_has(model, "signature") || json_has(model, "key")) { /* one without the other says nothing */
        json_get_line(model, "signature", out->signature, sizeof out->signature);
        json_get_line(model, "key", out->key, sizeof out->key);
    }
    recipe_read_variants(root, out);
    read_profile(root, out);
    for (size_t i = 0; i < RECIPE_YAML_DOCUMENTS; i++)
        if (json_has(root, documents[i]))
            json_get_line(root, documents[i], out->documents[i], sizeof out->documents[i]);
    if (json_has(root, "created")) {
        json_get_line(root, "created", out->created, sizeof out->created);
        if (reader.err.code == ERR_NONE && !is_time(out->created))
            json_fail(root, "created: must look like 2026-01-02T03:04:05Z");
    }
    return json_finish(&reader, err);
}

static int take_profile(const char *yaml_path, const struct recipe_extras *extras, struct recipe *out,
                        struct err *err)
{
    const struct {
        const char *said;
        char **path;
    } paths[] = {{extras->profile, &out->profile.file},
                 {extras->calib, &out->profile.calib},
                 {extras->profile_save, &out->profile.save}};
    str_copy(out->tap, sizeof out->tap, extras->tap);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (paths[i].said[0] && put_beside(yaml_path, paths[i].said, paths[i].path, err) < 0)
            return -1;
    return 0;
}

static int take_extras(const char *yaml_path, const struct recipe_extras *extras, struct recipe *out,
                       struct err *err)
{
    str_copy(out->created, sizeof out->created, extras->created);
    if (put_beside(yaml_path, extras->inputs, &out->golden_inputs, err) < 0)
        return -1;
    if (extras->signature[0] && (put_beside(yaml_path, extras->signature, &out->signature, err) < 0 ||
                                 put_beside(yaml_path, extras->key, &out->signature_key, err) < 0))
        return -1;
    for (size_t i = 0; i < RECIPE_YAML_DOCUMENTS; i++) {
        if (!extras->documents[i][0])
            continue;
        if (put_beside(yaml_path, extras->documents[i], &out->documents[out->document_count], err) < 0)
            return -1;
        out->document_count++;
    }
    return take_profile(yaml_path, extras, out, err) < 0 ? -1
                                                         : recipe_take_variants(yaml_path, extras, out, err);
}

static int read_parts(const char *yaml_path, struct recipe *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(YAML_MAX);
    if (file_read(yaml_path, &text, err) < 0)
        return -1;
    char model_path[RECIPE_PATH_SIZE] = "";
    if (release_parse_yaml(yaml_path, buf_text(&text), text.len, &out->release, model_path, sizeof model_path,
                           err) < 0)
        return -1;
    if (put_beside(yaml_path, model_path, &out->model_path, err) < 0)
        return -1;
    cleanup_free struct recipe_extras *extras = mem_zalloc(1, sizeof *extras);
    if (!extras)
        return err_no_memory(err);
    if (read_extras(yaml_path, &text, extras, err) < 0)
        return -1;
    return take_extras(yaml_path, extras, out, err);
}

int recipe_read(const char *yaml_path, struct recipe *out, struct err *err)
{
    *out = (struct recipe){0};
    if (read_parts(yaml_path, out, err) == 0)
        return 0;
    recipe_fini(out);
    return -1;
}

void recipe_fini(struct recipe *recipe)
{
    free(recipe->model_path);
    free(recipe->golden_inputs);
    free(recipe->signature);
    free(recipe->signature_key);
    for (size_t i = 0; i < RECIPE_MAX_DOCUMENTS; i++)
        free(recipe->documents[i]);
    for (size_t i = 0; i < recipe->variant_count; i++)
        free(recipe->variants[i].path);
    free(recipe->timing_cache);
    free(recipe->profile.file);
    free(recipe->profile.calib);
    free(recipe->profile.save);
    *recipe = (struct recipe){0};
}

/* ---- golden frames ---- */

struct paths {
    char **items;
    size_t count;
    bool (*is_name)(const char *path);
};

static int add_path(struct paths *paths, const char *path, struct err *err)
{
    if (paths->count == GOLDEN_MAX_CASES)
        return err_set(err, ERR_TOO_BIG, "more than %d golden inputs; choose fewer", GOLDEN_MAX_CASES);
    paths->items[paths->count] = mem_strdup(path);
    if (!paths->items[paths->count])
        return err_no_memory(err);
    paths->count++;
    return 0;
}

static int add_matches(struct paths *paths, const char *pattern, struct err *err)
{
    glob_t found = {0};
    int code = glob(pattern, GLOB_NOSORT, NULL, &found);
    int result = code == GLOB_NOSPACE ? err_no_memory(err) : 0;
    for (size_t i = 0; i < found.gl_pathc && result == 0; i++)
        if (paths->is_name(found.gl_pathv[i]))
            result = add_path(paths, found.gl_pathv[i], err);
    globfree(&found);
    return result;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int collect_paths(const char *inputs, struct paths *paths, struct err *err)
{
    struct stat st;
    bool folder = stat(inputs, &st) == 0 && S_ISDIR(st.st_mode);
    cleanup_free char *pattern = mem_printf(folder ? "%s/*" : "%s", inputs);
    if (!pattern)
        return err_no_memory(err);
    if (add_matches(paths, pattern, err) < 0)
        return -1;
    if (paths->count == 0)
        return err_set(err, ERR_NOT_FOUND, "golden.inputs: no %s at %s",
                       paths->is_name == floats_is_name ? "frames (.npy, .f32)" : "picture (PNG, JPEG)",
                       inputs);
    qsort(paths->items, paths->count, sizeof *paths->items, by_name);
    return 0;
}

int recipe_list_golden(const struct recipe *recipe, char ***out, size_t *out_count, struct err *err)
{
    struct paths paths = {.items = mem_zalloc(GOLDEN_MAX_CASES, sizeof *paths.items),
                          .is_name =
                              recipe->release.frame == FRAME_FLOAT32 ? floats_is_name : picture_is_name};
    if (!paths.items)
        return err_no_memory(err);
    if (collect_paths(recipe->golden_inputs, &paths, err) < 0) {
        recipe_free_paths(paths.items, paths.count);
        return -1;
    }
    *out = paths.items;
    *out_count = paths.count;
    return 0;
}

void recipe_free_paths(char **paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    free(paths);
}
