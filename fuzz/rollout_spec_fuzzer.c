/* deps: wire */
/* Any bytes as a rollout, in JSON and in YAML: never a crash; what is taken is written and taken again. */
#include "wire/rollout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rollout_spec first, second;

static void check_again(void)
{
    struct err err = {0};
    char *text = rollout_spec_format(&first);
    if (!text || rollout_spec_parse(text, strlen(text), &second, &err) < 0)
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (rollout_spec_parse(data, size, &first, &err) == 0)
        check_again();
    if (rollout_spec_parse_yaml("rollout.yaml", data, size, &first, &err) == 0)
        check_again();
    return 0;
}
