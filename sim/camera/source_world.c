#include "sim/camera/source.h"

#include "base/str.h"
#include "picture/picture.h"
#include "sim/world/world.h"

struct world_source {
    struct world *world;
    struct source_size size;
    uint8_t native[WORLD_FRAME_BYTES];
};

struct settings {
    uint64_t site, seed, period_ms, dock_ms, from_ms, strange;
    bool night, dirty_lens;
};

static const struct word {
    const char *key, *normal, *changed;
    size_t offset;
} words[] = {{"light", "day", "night", offsetof(struct settings, night)},
             {"lens", "clean", "dirty", offsetof(struct settings, dirty_lens)}};

/* 1: it is one of the words; 0: no such setting. */
static int set_word(struct settings *settings, const char *key, const char *value, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!str_eq(key, words[i].key))
            continue;
        bool changed = str_eq(value, words[i].changed);
        if (!changed && !str_eq(value, words[i].normal))
            return err_set(err, ERR_INVALID, "%s=%s: use %s or %s", key, value, words[i].normal,
                           words[i].changed);
        memcpy((char *)settings + words[i].offset, &changed, sizeof(changed));
        return 1;
    }
    return 0;
}

static int set_one(struct settings *settings, const char *key, const char *value, struct err *err)
{
    struct {
        const char *key;
        uint64_t *at;
    } const known[] = {{"site", &settings->site},        {"seed", &settings->seed},
                       {"period", &settings->period_ms}, {"dock", &settings->dock_ms},
                       {"strange", &settings->strange},  {"from", &settings->from_ms}};
    int is_word = set_word(settings, key, value, err);

    if (is_word)
        return is_word < 0 ? -1 : 0;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(key, known[i].key)) {
            if (!str_to_u64(value, known[i].at))
                return err_set(err, ERR_INVALID, "%s=%s is not a number", key, value);
            return 0;
        }
    return err_set(err, ERR_INVALID,
                   "'%s' is no setting of a world: use site, seed, period, dock, light, lens, strange, from",
                   key);
}

/* "site=1,seed=7" */
static int parse(const char *text, struct settings *settings, struct err *err)
{
    cleanup_free char *copy = mem_strdup(text);
    char *rest = copy, *part;

    if (!copy)
        return err_no_memory(err);
    while ((part = strsep(&rest, ",")) != NULL) {
        char *equals = strchr(part, '=');

        if (!*part && !*text)
            return 0;
        if (!equals)
            return err_set(err, ERR_INVALID, "'%s' is not of the form name=value", part);
        *equals = 0;
        if (set_one(settings, part, equals + 1, err) < 0)
            return -1;
    }
    return 0;
}

static void world_close(void *self)
{
    struct world_source *source = self;

    if (source->world)
        world_free(source->world);
    free(source);
}

static int build(struct world_source *source, const struct settings *settings, struct err *err)
{
    if (settings->site >= (uint64_t)world_site_count())
        return err_set(err, ERR_INVALID, "there is no site %ju: 0..%d", (uintmax_t)settings->site,
                       world_site_count() - 1);
    source->world = world_new(settings->seed, (int)settings->site);
    if (!source->world)
        return err_no_memory(err);
    if (settings->period_ms > INT32_MAX || settings->dock_ms > INT32_MAX ||
        !world_set_dock(source->world, (int)settings->period_ms, (int)settings->dock_ms))
        return err_set(err, ERR_INVALID,
                       "the period must be the time at the dock and 4000 ms to 3600000 ms more");
    if (settings->strange > WORLD_MAX_STRANGE || settings->from_ms > INT64_MAX)
        return err_set(err, ERR_INVALID, "strange=%ju: at most %d", (uintmax_t)settings->strange,
                       WORLD_MAX_STRANGE);
    world_set_change(source->world, &(struct world_change){.night = settings->night,
                                                           .dirty_lens = settings->dirty_lens,
                                                           .strange = (int)settings->strange,
                                                           .from_ms = (int64_t)settings->from_ms});
    return 0;
}

static int world_open(const char *text, struct source_size size, void **out, struct err *err)
{
    struct settings settings = {.seed = 1, .period_ms = 15000, .dock_ms = 4000};
    struct world_source *source;

    if (parse(text, &settings, err) < 0)
        return -1;
    source = mem_zalloc(1, sizeof(*source));
    if (!source)
        return err_no_memory(err);
    source->size = size;
    if (build(source, &settings, err) < 0) {
        world_close(source);
        return -1;
    }
    *out = source;
    return 0;
}

static void label(const struct world_source *source, const struct world_box *boxes, size_t count,
                  struct camera_truth *truth)
{
    float sx = (float)source->size.width / WORLD_WIDTH, sy = (float)source->size.height / WORLD_HEIGHT;

    truth->known = true;
    truth->count = count;
    for (size_t i = 0; i < count; i++)
        truth->boxes[i] = (struct camera_box){.x0 = boxes[i].x0 * sx,
                                              .y0 = boxes[i].y0 * sy,
                                              .x1 = boxes[i].x1 * sx,
                                              .y1 = boxes[i].y1 * sy,
                                              .label = boxes[i].label};
}

static int world_next(void *self, int elapsed_ms, uint8_t *rgb, struct camera_truth *truth, struct err *err)
{
    struct world_source *source = self;
    struct world_box boxes[CAMERA_MAX_BOXES];
    size_t count;

    world_step(source->world, elapsed_ms);
    world_render(source->world, source->native, boxes, CAMERA_MAX_BOXES, &count);
    picture_resize(source->native, WORLD_WIDTH, WORLD_HEIGHT, rgb, source->size.width, source->size.height);
    if (world_at_dock(source->world))
        label(source, boxes, count, truth);
    return 0;
}

const struct source_ops source_world = {"world:", world_open, world_next, world_close};
