#include "sim/frames/frames.h"

#include "picture/picture.h"
#include "sim/drone/drone.h"
#include "sim/frames/coco.h"
#include "sim/frames/raw.h"
#include "sys/file.h"

#define MAX_SITES 16

struct worlds {
    struct world *of[MAX_SITES];
    int count, first;
};

static void worlds_fini(struct worlds *worlds)
{
    for (int i = 0; i < worlds->count; i++)
        if (worlds->of[i])
            world_free(worlds->of[i]);
}

static int worlds_init(struct worlds *worlds, const struct frames_plan *plan, struct err *err)
{
    bool all = plan->site == FRAMES_ALL_SITES;

    worlds->first = all ? 0 : plan->site;
    worlds->count = all ? MIN(world_site_count(), MAX_SITES) : 1;
    for (int i = 0; i < worlds->count; i++) {
        worlds->of[i] = world_new(plan->seed, worlds->first + i);
        if (!worlds->of[i])
            return err_set(err, ERR_INVALID, "there is no site %d: 0..%d", worlds->first + i,
                           world_site_count() - 1);
        world_set_sensor(worlds->of[i], plan->sensor);
    }
    return 0;
}

/* Moves on to the next frame that is wanted. */
static void advance(struct world *world, const struct frames_plan *plan, int index)
{
    if (!plan->sequence) {
        world_scene(world, (uint64_t)index);
        return;
    }
    do
        world_step(world, plan->every_ms);
    while (plan->dock_only && !world_at_dock(world));
}

static int each(struct worlds *worlds, const struct frames_plan *plan,
                int (*take)(void *arg, const struct frames_one *frame, struct err *err), void *arg,
                struct err *err)
{
    struct frames_one frame;

    for (int i = 0; i < plan->count; i++) {
        struct world *world = worlds->of[i % worlds->count];

        advance(world, plan, i / worlds->count);
        frame.site = worlds->first + i % worlds->count;
        world_render(world, frame.rgb, frame.boxes, WORLD_MAX_BOXES, &frame.count);
        if (take(arg, &frame, err) < 0)
            return -1;
    }
    return 0;
}

static int each_of_drone(const struct frames_plan *plan,
                         int (*take)(void *arg, const struct frames_one *frame, struct err *err), void *arg,
                         struct err *err)
{
    cleanup_drone struct drone *drone = drone_new(plan->seed);
    struct frames_one frame = {0};

    if (!drone)
        return err_no_memory(err);
    for (int i = 0; i < plan->count; i++) {
        if (plan->sequence)
            drone_seek(drone, (int64_t)i * plan->every_ms);
        else
            drone_scene(drone, (uint64_t)i);
        drone_render(drone, frame.rgb, frame.boxes, DRONE_MAX_BOXES, &frame.count);
        if (take(arg, &frame, err) < 0)
            return -1;
    }
    return 0;
}

int frames_each(const struct frames_plan *plan,
                int (*take)(void *arg, const struct frames_one *frame, struct err *err), void *arg,
                struct err *err)
{
    struct worlds worlds = {0};
    int status;

    if (plan->count < 1 || plan->count > FRAMES_MAX)
        return err_set(err, ERR_INVALID, "%d frames cannot be made: 1..%d", plan->count, FRAMES_MAX);
    if (plan->drone)
        return each_of_drone(plan, take, arg, err);
    status = worlds_init(&worlds, plan, err) < 0 ? -1 : each(&worlds, plan, take, arg, err);
    worlds_fini(&worlds);
    return status;
}

struct dir_writer {
    const char *dir;
    struct coco coco;
};

static int take_png(void *arg, const struct frames_one *frame, struct err *err)
{
    struct dir_writer *writer = arg;
    struct picture picture = {WORLD_WIDTH, WORLD_HEIGHT, (uint8_t *)frame->rgb};
    cleanup_free char *name = mem_printf("frame-%06d.png", writer->coco.image_count);
    cleanup_free char *path = name ? mem_printf("%s/%s", writer->dir, name) : NULL;

    if (!path)
        return err_no_memory(err);
    if (coco_add(&writer->coco, name, frame->boxes, frame->count, err) < 0)
        return -1;
    return picture_write_png(path, &picture, err);
}

static int write_annotations(const struct dir_writer *writer, struct err *err)
{
    cleanup_free char *path = mem_printf("%s/annotations.json", writer->dir);
    cleanup_buf struct buf text = BUF_INIT(512 << 20);

    if (!path)
        return err_no_memory(err);
    if (coco_format(&writer->coco, &text, err) < 0)
        return -1;
    return file_replace(path, text.data, text.len, 0644, err);
}

int frames_write_dir(const struct frames_plan *plan, const char *dir, struct err *err)
{
    struct dir_writer writer = {.dir = dir};
    int status;

    if (file_make_dirs(dir, 0755, err) < 0)
        return -1;
    coco_init(&writer.coco);
    if (plan->drone) {
        writer.coco.classes = DRONE_CLASSES;
        writer.coco.class_name = drone_class_name;
    }
    status = frames_each(plan, take_png, &writer, err);
    if (!status)
        status = write_annotations(&writer, err);
    coco_fini(&writer.coco);
    return status;
}

static int take_raw(void *arg, const struct frames_one *frame, struct err *err)
{
    return raw_frame(arg, frame->site, frame->rgb, frame->boxes, frame->count, err);
}

int frames_write_raw(const struct frames_plan *plan, const char *path, struct err *err)
{
    FILE *file = fopen(path, "wbe");
    int status;

    if (!file)
        return err_errno(err, "%s", path);
    status = raw_begin(file, (uint32_t)plan->count, err) < 0 ? -1 : frames_each(plan, take_raw, file, err);
    if (fclose(file) && !status)
        status = err_errno(err, "cannot write the frames");
    return status < 0 ? err_prefix(err, "%s", path) : 0;
}
