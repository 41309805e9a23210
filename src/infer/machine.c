#include "infer/machine.h"

#include "base/mem.h"
#include "base/str.h"

static void missing(struct machine *out, enum provider provider, const char *why)
{
    str_copy(out->why[provider], sizeof out->why[provider], why);
}

static void look_for(const struct machine_probe *probe, enum provider provider, struct machine *out)
{
    char library[512] = "";
    struct err err = {0};
    if (probe->provider(probe->self, provider, library, sizeof library, &err) < 0 ||
        (provider == PROVIDER_TENSORRT && probe->tensorrt(probe->self, library, &out->tensorrt, &err) < 0))
        missing(out, provider, err.text);
    else
        out->usable[provider] = true;
}

void machine_look(const struct machine_probe *probe, struct machine *out)
{
    struct err err = {0};
    *out = (struct machine){.usable = {[PROVIDER_CPU] = true}};
    out->node = probe->node(probe->self);
    if (!out->node)
        return;
    probe->system(probe->self, out);
    if (probe->gpu(probe->self, &out->gpu, &err) < 0) {
        missing(out, PROVIDER_CUDA, err.text);
        missing(out, PROVIDER_TENSORRT, err.text);
        return;
    }
    look_for(probe, PROVIDER_CUDA, out);
    look_for(probe, PROVIDER_TENSORRT, out);
}

int machine_put_key(const struct machine *machine, struct buf *out, struct err *err)
{
    const int *version = machine->tensorrt.version;
    return buf_printf(out, err,
                      "tensorrt %d.%d.%d.%d\nonnxruntime %s\ncuda %d\nl4t %s\ngpu %s\nsm %d\nplugins %s\n",
                      version[0], version[1], version[2], version[3], machine->runtime, machine->gpu.driver,
                      machine->l4t, machine->gpu.name, machine->gpu.compute, machine->tensorrt.plugins);
}
