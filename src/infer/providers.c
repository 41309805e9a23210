#include "infer/providers.h"

#include "base/mem.h"
#include "base/str.h"

/* Only what comes first matters: the rest follows from it. */
static void miss(struct providers *out, enum provider provider, const char *why)
{
    if (!out->degraded[0])
        snprintf(out->degraded, sizeof out->degraded, "no %s: %s", provider_name(provider), why);
}

static bool try_one(enum provider provider, const struct machine *machine, unsigned skip,
                    providers_load *load, void *self, struct providers *out, struct err *err)
{
    if (skip & 1U << provider)
        miss(out, provider, "it gives something else here than on the packing machine, or does not start");
    else if (!machine->usable[provider])
        miss(out, provider, machine->why[provider]);
    else if (load(self, provider, err) < 0)
        miss(out, provider, err->text);
    else
        return true;
    *err = (struct err){0};
    return false;
}

int providers_pick(const struct release *release, const struct machine *machine, unsigned skip,
                   providers_load *load, void *self, struct providers *out, struct err *err)
{
    *out = (struct providers){.used = PROVIDER_CPU};
    for (size_t i = 0; machine->node && i < release->runtime.provider_count; i++) {
        enum provider provider = release->runtime.providers[i];
        if (provider == PROVIDER_CPU)
            break;
        if (try_one(provider, machine, skip, load, self, out, err)) {
            out->used = provider;
            return 0;
        }
    }
    return load(self, PROVIDER_CPU, err);
}
