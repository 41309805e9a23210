/* NVIDIA's management library: the few calls that are needed, looked up by name; its numbers are of GPU 0. */
#include "base/mem.h"
#include "robot/board/inside.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>

enum { CLOCK_SM = 1, SENSOR_GPU = 0 };
/* Reasons to run slower that are not "idle", "as the application asked" or "in step with another": power, heat, brake. */
static const unsigned long long SLOWED = 0x04 | 0x08 | 0x20 | 0x40 | 0x80;

struct utilization {
    unsigned gpu, memory; /* percent */
};

struct memory {
    unsigned long long total, free, used;
};

struct board_nvml {
    void *library, *device;
    int (*shutdown)(void);
    int (*utilization)(void *, struct utilization *);
    int (*clock)(void *, int, unsigned *);
    int (*memory)(void *, struct memory *);
    int (*temperature)(void *, int, unsigned *);
    int (*power)(void *, unsigned *);
    int (*slowed)(void *, unsigned long long *);
};

static void *symbol(const struct board_nvml *nvml, const char *name)
{
    return dlsym(nvml->library, name);
}

static bool start(struct board_nvml *nvml)
{
    int (*init)(void) = (int (*)(void))symbol(nvml, "nvmlInit_v2");
    int (*handle)(unsigned, void **) =
        (int (*)(unsigned, void **))symbol(nvml, "nvmlDeviceGetHandleByIndex_v2");
    nvml->shutdown = (int (*)(void))symbol(nvml, "nvmlShutdown");
    nvml->utilization = (int (*)(void *, struct utilization *))symbol(nvml, "nvmlDeviceGetUtilizationRates");
    nvml->clock = (int (*)(void *, int, unsigned *))symbol(nvml, "nvmlDeviceGetClockInfo");
    nvml->memory = (int (*)(void *, struct memory *))symbol(nvml, "nvmlDeviceGetMemoryInfo");
    nvml->temperature = (int (*)(void *, int, unsigned *))symbol(nvml, "nvmlDeviceGetTemperature");
    nvml->power = (int (*)(void *, unsigned *))symbol(nvml, "nvmlDeviceGetPowerUsage");
    nvml->slowed =
        (int (*)(void *, unsigned long long *))symbol(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons");
    if (!init || !handle || !nvml->shutdown || init() != 0)
        return false;
    if (handle(0, &nvml->device) == 0)
        return true;
    nvml->shutdown();
    return false;
}

struct board_nvml *board_nvml_open(void)
{
    struct board_nvml *nvml = mem_zalloc(1, sizeof *nvml);
    if (!nvml)
        return NULL;
    nvml->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (nvml->library && start(nvml))
        return nvml;
    if (nvml->library)
        dlclose(nvml->library);
    free(nvml);
    return NULL;
}

void board_nvml_free(struct board_nvml *nvml)
{
    if (!nvml)
        return;
    nvml->shutdown();
    dlclose(nvml->library);
    free(nvml);
}

void board_nvml_read(struct board_nvml *nvml, struct board_sample *out)
{
    struct utilization load;
    struct memory memory;
    unsigned value;
    unsigned long long reasons;
    if (nvml->utilization && nvml->utilization(nvml->device, &load) == 0 && load.gpu <= 100)
        out->gpu_share = load.gpu / 100.0;
    if (nvml->clock && nvml->clock(nvml->device, CLOCK_SM, &value) == 0)
        out->gpu_hz = value * 1e6;
    if (nvml->memory && nvml->memory(nvml->device, &memory) == 0)
        out->gpu_memory_bytes = (double)memory.used;
    if (nvml->temperature && nvml->temperature(nvml->device, SENSOR_GPU, &value) == 0)
        board_named_add(out->zones, &out->zone_count, BOARD_MAX_ZONES, "nvidia gpu", value);
    if (nvml->power && nvml->power(nvml->device, &value) == 0)
        board_named_add(out->rails, &out->rail_count, BOARD_MAX_RAILS, "nvidia gpu", value / 1000.0);
    if (nvml->slowed && nvml->slowed(nvml->device, &reasons) == 0)
        out->throttled = (reasons & SLOWED) != 0 || out->throttled == 1;
}
