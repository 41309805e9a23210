/* Videos: the module that reads them is opened when the first one is. */
#include "sim/camera/source.h"

#include "sys/proc.h"

#include <dlfcn.h>

static const struct source_ops *module; /* NULL: not opened yet */

static char *module_path(void)
{
    const char *given = getenv("MUSTER_SIM_VIDEO");
    cleanup_free char *dir = given ? NULL : proc_self_dir();

    if (given)
        return mem_strdup(given);
    return dir ? mem_printf("%s/muster-sim-video.so", dir) : NULL;
}

static int open_module(struct err *err)
{
    cleanup_free char *path = module_path();

    if (!path)
        return err_no_memory(err);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library)
        module = dlsym(library, "source_video_module");
    if (!module)
        return err_set(err, ERR_UNSUPPORTED,
                       "no video here (%.100s): install libavformat-dev and libswscale-dev and build anew",
                       dlerror());
    return 0;
}

static int video_open(const char *path, struct source_size size, void **out, struct err *err)
{
    if (!module && open_module(err) < 0)
        return -1;
    return module->open(path, size, out, err);
}

static int video_next(void *self, int elapsed_ms, uint8_t *rgb, struct camera_truth *truth, struct err *err)
{
    return module->next(self, elapsed_ms, rgb, truth, err);
}

static void video_close(void *self)
{
    module->close(self);
}

const struct source_ops source_video = {"video:", video_open, video_next, video_close};
