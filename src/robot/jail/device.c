#include "robot/jail/device.h"

#include "base/str.h"
#include "sys/file.h"

#include <glob.h>

static const char *const standard[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};

/* Desktop and server GPUs; Jetson's GPU, memory and accelerators (L4T 32 … 36). */
static const char *const accelerators[] = {
    "/dev/nvidia[0-9]*",   "/dev/nvidiactl",    "/dev/nvidia-uvm",   "/dev/nvidia-uvm-tools",
    "/dev/nvidia-modeset", "/dev/nvhost-*",     "/dev/nvmap",        "/dev/nvgpu",
    "/dev/nvsciipc",       "/dev/host1x-fence", "/dev/dri/renderD*",
};

/* Without its user-space driver a device is of no use; it lives in these on Debian, Ubuntu and L4T. The last one says which L4T it is: engines
 * depend on it. */
static const char *const driver_dirs[] = {"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
                                          "/usr/local/cuda", "/etc/ld.so.cache", "/etc/nv_tegra_release"};

bool device_is_standard(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(standard); i++)
        if (str_eq(path, standard[i]))
            return true;
    return false;
}

bool device_has_gpu(void)
{
    static const char *const nodes[] = {"/dev/nvidia[0-9]*", "/dev/nvhost-gpu", "/dev/nvgpu"};
    size_t found = 0;
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        glob_t names = {0};
        if (glob(nodes[i], GLOB_NOSORT, NULL, &names) == 0)
            found += names.gl_pathc;
        globfree(&names);
    }
    return found > 0;
}

static bool wants_accelerator(const struct release *release)
{
    for (size_t i = 0; i < release->runtime.provider_count; i++)
        if (release->runtime.providers[i] != PROVIDER_CPU)
            return true;
    return false;
}

static int bind_matches(struct jail *jail, const char *pattern, size_t *found, struct err *err)
{
    glob_t names = {0};
    int result = 0;
    if (glob(pattern, GLOB_NOSORT, NULL, &names) == 0)
        for (size_t i = 0; i < names.gl_pathc && result == 0; i++, ++*found)
            result = jail_bind(jail, JAIL_DEVICE, names.gl_pathv[i], NULL, err);
    globfree(&names);
    return result;
}

static int bind_accelerators(struct jail *jail, struct err *err)
{
    size_t found = 0;
    for (size_t i = 0; i < ARRAY_LEN(accelerators); i++)
        if (bind_matches(jail, accelerators[i], &found, err) < 0)
            return -1;
    for (size_t i = 0; found > 0 && i < ARRAY_LEN(driver_dirs); i++)
        if (file_exists(driver_dirs[i]) && jail_bind(jail, JAIL_LIBRARY, driver_dirs[i], NULL, err) < 0)
            return -1;
    return 0;
}

int device_bind(struct jail *jail, const struct release *release, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(standard); i++)
        if (file_exists(standard[i]) && jail_bind(jail, JAIL_DEVICE, standard[i], NULL, err) < 0)
            return -1;
    return wants_accelerator(release) ? bind_accelerators(jail, err) : 0;
}
