#include "cli/demo/stage.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "wire/json.h"

#include <ctype.h>
#include <stdarg.h>
#include <unistd.h>

static const char *const sites[] = {"north", "south", "east"};

static const char *in_ring(const char *fmt, va_list args, const char *prefix)
{
    static char ring[8][2 * STAGE_PATH];
    static unsigned next;
    char *out = ring[next++ % ARRAY_LEN(ring)];
    int used = snprintf(out, sizeof ring[0], "%s/", prefix);
    vsnprintf(out + used, sizeof ring[0] - (size_t)used, fmt, args);
    return out;
}

const char *stage_path(const struct stage *stage, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *path = in_ring(fmt, args, stage->dir);
    va_end(args);
    return path;
}

static const char *under(const char *prefix, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static const char *under(const char *prefix, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *path = in_ring(fmt, args, prefix);
    va_end(args);
    return path;
}

const char *stage_program(const struct stage *stage, const char *name)
{
    return under(stage->bin, "%s", name);
}

const char *stage_robot(int index)
{
    static char names[STAGE_MAX_ROBOTS][8];
    snprintf(names[index], sizeof names[0], "r%02d", index + 1);
    return names[index];
}

int stage_site_number(int index)
{
    return index % (int)ARRAY_LEN(sites);
}

const char *stage_site(int index)
{
    return sites[stage_site_number(index)];
}

static int need(const char *path, const char *remedy, struct err *err)
{
    if (file_exists(path))
        return 0;
    return err_set(err, ERR_NOT_FOUND, "%s is not there; %s", path, remedy);
}

static int find_programs(struct stage *stage, struct err *err)
{
    static const char *const programs[] = {"muster",       "musterd",       "muster-agent",
                                           "muster-guard", "muster-runner", "muster-sim"};
    cleanup_free char *self = proc_self_dir();
    if (!self)
        return err_no_memory(err);
    str_copy(stage->bin, sizeof stage->bin, self);
    for (size_t i = 0; i < ARRAY_LEN(programs); i++)
        if (need(stage_program(stage, programs[i]), "build it with: make", err) < 0)
            return -1;
    return 0;
}

/* Without ".." and, below the working folder, relative to it: as a person would type it. */
static void tidy_path(const char *path, char *out, size_t size)
{
    cleanup_free char *real = realpath(path, NULL);
    cleanup_free char *here = getcwd(NULL, 0);
    const char *tidy = real ? real : path;
    size_t len = here ? strlen(here) : 0;
    if (len && str_starts(tidy, here) && tidy[len] == '/')
        tidy += len + 1;
    str_copy(out, size, tidy);
}

/* The models lie beside the build (build/bin → models) or beside an installation (bin → share/muster/models).
 */
static int find_models(struct stage *stage, const char *models, struct err *err)
{
    const struct play *play = stage->play;
    const char *const places[] = {models, under(stage->bin, "../../models"),
                                  under(stage->bin, "../share/muster/models")};
    for (size_t i = 0; i < (models[0] ? 1 : ARRAY_LEN(places)); i++) { /* what was named, or nothing */
        if (!file_exists(under(places[i], "%s-%s/model.onnx", play->model, play->versions[0])))
            continue;
        tidy_path(places[i], stage->models, sizeof stage->models);
        tidy_path(under(places[i], "../examples/%s", play->name), stage->rollouts, sizeof stage->rollouts);
        return 0;
    }
    if (models[0])
        return err_set(err, ERR_NOT_FOUND, "%s has no %s-%s/model.onnx; name another --models DIR", models,
                       play->model, play->versions[0]);
    return err_set(err, ERR_NOT_FOUND,
                   "the models of the demo are not there; name their folder with --models DIR");
}

int stage_open(struct stage *stage, const struct play *play, int robots, const char *models, struct err *err)
{
    const char *base = getenv("TMPDIR");
    *stage = (struct stage){.play = play, .robots = robots};
    if (!base || !base[0])
        base = "/tmp";
    if (strlen(base) + sizeof "/muster-demo-XXXXXX" > sizeof stage->dir)
        return err_set(err, ERR_INVALID,
                       "TMPDIR %s is too long: sockets below it need a short path; unset it", base);
    snprintf(stage->dir, sizeof stage->dir, "%s/muster-demo-XXXXXX", base);
    if (find_programs(stage, err) < 0 || find_models(stage, models, err) < 0)
        return -1;
    if (!mkdtemp(stage->dir))
        return err_errno(err, "create %s", stage->dir);
    if (file_make_dirs(stage_path(stage, "log"), 0755, err) < 0 ||
        file_make_dirs(stage_path(stage, "releases"), 0755, err) < 0)
        return -1;
    for (int i = 0; i < robots; i++)
        if (file_make_dirs(stage_path(stage, "%s/state", stage_robot(i)), 0700, err) < 0 ||
            file_make_dirs(stage_path(stage, "%s/run", stage_robot(i)), 0700, err) < 0)
            return -1;
    return 0;
}

void stage_remove(const struct stage *stage)
{
    struct err err = {0};
    if (file_remove_tree(stage->dir, &err) < 0)
        log_warn("%s", err.text);
}

static void read_port(struct json_at root, const char *name, uint16_t *out)
{
    int64_t port = 0;
    json_get_int(root, name, 1, 65535, &port);
    *out = (uint16_t)port;
}

int stage_read_ports(struct stage *stage, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(4096);
    struct json_reader reader;
    if (file_read(stage_path(stage, "ports.json"), &text, err) < 0 ||
        json_read(&reader, "ports.json", text.data, text.len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    read_port(root, "robot", &stage->robot_port);
    read_port(root, "operator", &stage->operator_port);
    read_port(root, "console", &stage->console_port);
    return json_finish(&reader, err);
}

int stage_read_token(struct stage *stage, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(4096);
    if (file_read(stage_path(stage, "token"), &text, err) < 0)
        return -1;
    str_copy(stage->token, sizeof stage->token, buf_text(&text));
    size_t len = strlen(stage->token);
    while (len && isspace((unsigned char)stage->token[len - 1]))
        stage->token[--len] = 0;
    return 0;
}
