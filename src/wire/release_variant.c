/* What kinds of variants there are, and whether a release's hold together. */
#include "base/mem.h"
#include "base/str.h"
#include "wire/release_check.h"

const char *const variant_names[RELEASE_MAX_VARIANTS] = {"cpu-x86", "cpu-arm", VARIANT_TRT};

const char *variant_of_machine(const char *machine)
{
    if (str_eq(machine, "x86_64"))
        return variant_names[0];
    return str_eq(machine, "aarch64") ? variant_names[1] : NULL;
}

const struct release_variant *release_variant(const struct release *release, const char *name)
{
    for (size_t i = 0; name && i < release->variant_count; i++)
        if (str_eq(release->variants[i].name, name))
            return &release->variants[i];
    return NULL;
}

static size_t place_of(const char *name)
{
    size_t i = 0;
    while (i < RELEASE_MAX_VARIANTS && !str_eq(variant_names[i], name))
        i++;
    return i;
}

int release_check_variants(const struct release *release, struct err *err)
{
    if (release->variant_count > RELEASE_MAX_VARIANTS)
        return release_wrong(err, "variants", "there are too many");
    for (size_t i = 0; i < release->variant_count; i++) {
        const struct release_variant *variant = &release->variants[i];
        size_t place = place_of(variant->name);
        if (place == RELEASE_MAX_VARIANTS)
            return release_wrong(err, "variants", "must be of cpu-x86, cpu-arm, trt");
        if (i && place <= place_of(release->variants[i - 1].name))
            return release_wrong(err, "variants", "must be in the order cpu-x86, cpu-arm, trt, each once");
        if ((unsigned)variant->precision > PRECISION_INT8_FP16)
            return release_wrong(err, "variants", "precision is unknown");
        if (release_is_positive("variants.fidelity", variant->fidelity, 1, err) < 0)
            return -1;
    }
    return 0;
}
