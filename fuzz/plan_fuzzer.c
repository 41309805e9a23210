/* deps: wire base */
#include "wire/assignment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes as a rollout's plan: never a crash, and none is for a release that nobody has. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct digest mine = {{1, 2, 3}}, nobodys = {{0xff, 0xee, 0xdd}};
    struct err err = {0};
    if (plan_check(data, size, &mine, "r1", &err) == 0 && plan_check(data, size, &nobodys, "r1", &err) == 0)
        abort();
    return 0;
}
