#include "infer/accelerator.h"

#include "base/testing.h"

#include "base/mem.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

static void only_hardware_that_is_there_can_be_missed(void **state)
{
    static const char *const nodes[] = {"nvidia0", "nvhost-gpu", "nvgpu"};
    struct err err = {0};
    char dev[] = "/tmp/muster-dev-XXXXXX", why[96] = "x";
    assert_non_null(mkdtemp(dev));
    struct release release = {
        .runtime = {.provider_count = 3, .providers = {PROVIDER_TENSORRT, PROVIDER_CUDA, PROVIDER_CPU}}};
    accelerator_degraded(dev, &release, PROVIDER_CPU, why, sizeof why);
    assert_string_equal(why, "");
    assert_true(accelerator_present(dev, PROVIDER_CPU));
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        cleanup_free char *path = mem_printf("%s/%s", dev, nodes[i]);
        assert_false(accelerator_present(dev, PROVIDER_CUDA));
        assert_ok(file_replace(path, "", 0, 0600, &err), err);
        assert_true(accelerator_present(dev, PROVIDER_CUDA));
        accelerator_degraded(dev, &release, PROVIDER_CPU, why, sizeof why);
        assert_string_equal(why, "no tensorrt: the inference engine here runs on the cpu only");
        accelerator_degraded(dev, &release, PROVIDER_CUDA, why, sizeof why);
        assert_string_equal(why, "no tensorrt: the inference engine here runs on the cuda only");
        accelerator_degraded(dev, &release, PROVIDER_TENSORRT, why, sizeof why);
        assert_string_equal(why, "");
        assert_int_equal(unlink(path), 0);
    }
    assert_ok(file_remove_tree(dev, &err), err);
}

static void a_release_for_the_cpu_misses_nothing(void **state)
{
    char why[96];
    struct release release = {.runtime = {.provider_count = 1, .providers = {PROVIDER_CPU}}};
    accelerator_degraded("/dev", &release, PROVIDER_CPU, why, sizeof why);
    assert_string_equal(why, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_hardware_that_is_there_can_be_missed),
        cmocka_unit_test(a_release_for_the_cpu_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
