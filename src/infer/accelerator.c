#include "infer/accelerator.h"

#include "base/mem.h"

#include <unistd.h>

bool accelerator_present(const char *dev, enum provider provider)
{
    /* Workstation driver; Tegra's own (Jetson, JetPack 5 and 6). */
    static const char *const nodes[] = {"nvidia0", "nvhost-gpu", "nvgpu"};
    if (provider == PROVIDER_CPU)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        char path[256];
        int len = snprintf(path, sizeof path, "%s/%s", dev, nodes[i]);
        if (len > 0 && (size_t)len < sizeof path && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

void accelerator_degraded(const char *dev, const struct release *release, enum provider used, char *out,
                          size_t size)
{
    out[0] = '\0';
    for (size_t i = 0; i < release->runtime.provider_count; i++) {
        enum provider wanted = release->runtime.providers[i];
        if (wanted == used)
            return;
        if (!accelerator_present(dev, wanted))
            continue;
        snprintf(out, size, "no %s: the inference engine here runs on the %s only", provider_name(wanted),
                 provider_name(used));
        return;
    }
}
