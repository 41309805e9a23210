/* Machines made up through the probe's table: what each lack leads to, and that an engine's key notices every change. */
#include "infer/machine.h"

#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

struct made {
    bool node, cuda, tensorrt, driver, libraries;
    int asked; /* questions after the one for a device node */
};

static bool made_node(void *self)
{
    return ((struct made *)self)->node;
}

static int made_provider(void *self, enum provider provider, char *library, size_t size, struct err *err)
{
    struct made *made = self;
    made->asked++;
    if (!(provider == PROVIDER_CUDA ? made->cuda : made->tensorrt))
        return err_set(err, ERR_UNSUPPORTED, "built without it");
    str_copy(library, size, provider == PROVIDER_CUDA ? "/lib/cuda.so" : "/lib/tensorrt.so");
    return 0;
}

static int made_gpu(void *self, struct machine_gpu *out, struct err *err)
{
    struct made *made = self;
    made->asked++;
    if (!made->driver)
        return err_set(err, ERR_UNSUPPORTED, "the driver does not start");
    *out = (struct machine_gpu){.name = "Orin", .compute = 87, .driver = 12060};
    return 0;
}

static int made_tensorrt(void *self, const char *library, struct machine_tensorrt *out, struct err *err)
{
    struct made *made = self;
    made->asked++;
    assert_string_equal(library, "/lib/tensorrt.so");
    if (!made->libraries)
        return err_set(err, ERR_UNSUPPORTED, "libnvinfer.so.10 cannot be opened");
    *out = (struct machine_tensorrt){.version = {10, 3, 0, 30}, .plugins = "ab"};
    return 0;
}

static void made_system(void *self, struct machine *out)
{
    ((struct made *)self)->asked++;
    str_copy(out->runtime, sizeof out->runtime, "1.22.0");
    str_copy(out->l4t, sizeof out->l4t, "R36");
}

static struct machine look(struct made made, int *asked)
{
    struct machine machine;
    const struct machine_probe probe = {.self = &made,
                                        .node = made_node,
                                        .provider = made_provider,
                                        .gpu = made_gpu,
                                        .tensorrt = made_tensorrt,
                                        .system = made_system};
    machine_look(&probe, &machine);
    if (asked)
        *asked = made.asked;
    return machine;
}

static void without_hardware_nothing_else_is_asked(void **state)
{
    int asked;
    struct machine machine =
        look((struct made){.cuda = true, .tensorrt = true, .driver = true, .libraries = true}, &asked);
    assert_int_equal(asked, 0);
    assert_false(machine.node);
    assert_true(machine.usable[PROVIDER_CPU]);
    assert_false(machine.usable[PROVIDER_CUDA] || machine.usable[PROVIDER_TENSORRT]);
}

static void each_lack_has_its_reason(void **state)
{
    const struct made whole = {true, true, true, true, true, 0};
    struct machine machine = look(whole, NULL);
    assert_true(machine.usable[PROVIDER_CUDA] && machine.usable[PROVIDER_TENSORRT]);
    assert_string_equal(machine.why[PROVIDER_TENSORRT], "");
    struct made made = whole;
    made.driver = false;
    machine = look(made, NULL);
    assert_false(machine.usable[PROVIDER_CUDA] || machine.usable[PROVIDER_TENSORRT]);
    assert_string_equal(machine.why[PROVIDER_CUDA], "the driver does not start");
    made = whole;
    made.libraries = false;
    machine = look(made, NULL);
    assert_true(machine.usable[PROVIDER_CUDA] && !machine.usable[PROVIDER_TENSORRT]);
    assert_string_equal(machine.why[PROVIDER_TENSORRT], "libnvinfer.so.10 cannot be opened");
    made = whole;
    made.cuda = false;
    machine = look(made, NULL);
    assert_true(!machine.usable[PROVIDER_CUDA] && machine.usable[PROVIDER_TENSORRT]);
}

static void key_of(const struct machine *machine, struct buf *out)
{
    struct err err = {0};
    buf_reset(out);
    assert_ok(machine_put_key(machine, out, &err), err);
}

static void every_part_of_the_machine_is_in_the_key(void **state)
{
    const struct machine whole = look((struct made){true, true, true, true, true, 0}, NULL);
    struct machine others[10];
    cleanup_buf struct buf key = BUF_INIT(4096), other = BUF_INIT(4096);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        others[i] = whole;
    for (size_t i = 0; i < 4; i++)
        others[i].tensorrt.version[i]++;
    str_copy(others[4].runtime, sizeof others[4].runtime, "1.23.0");
    str_copy(others[5].l4t, sizeof others[5].l4t, "R35");
    str_copy(others[6].gpu.name, sizeof others[6].gpu.name, "Xavier");
    others[7].gpu.compute = 72;
    others[8].gpu.driver = 12020;
    str_copy(others[9].tensorrt.plugins, sizeof others[9].tensorrt.plugins, "cd");
    key_of(&whole, &key);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        key_of(&others[i], &other);
        assert_string_not_equal(buf_text(&key), buf_text(&other));
    }
}

/* Whatever this machine is: asking it does no harm, and the answer fits itself. */
static void this_machine_is_described(void **state)
{
    const struct machine *machine = machine_get(NULL);
    assert_ptr_equal(machine, machine_get(NULL));
    assert_true(machine->usable[PROVIDER_CPU]);
    for (int i = PROVIDER_CUDA; i < PROVIDER_COUNT; i++)
        assert_true(!machine->node || machine->usable[i] == (machine->why[i][0] == '\0'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_hardware_nothing_else_is_asked),
        cmocka_unit_test(each_lack_has_its_reason),
        cmocka_unit_test(every_part_of_the_machine_is_in_the_key),
        cmocka_unit_test(this_machine_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
