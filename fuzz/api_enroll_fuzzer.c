/* deps: wire */
/* Any bytes as an enrolment request: never a crash; what is taken is written and taken again, with the same
 * text. */
#include "wire/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct api_enroll first, second;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (api_enroll_parse(data, size, &first, &err) < 0)
        return 0;
    char *text = api_enroll_format(&first);
    if (!text || api_enroll_parse(text, strlen(text), &second, &err) < 0)
        abort();
    char *again = api_enroll_format(&second);
    if (!again || strcmp(text, again) != 0)
        abort();
    free(text);
    free(again);
    return 0;
}
