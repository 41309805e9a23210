/* deps: wire */
/* Any bytes as a batch of reports: never a crash; what is taken is written and taken again, with the same
 * text. */
#include "wire/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct api_reports first, second;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (api_reports_parse(data, size, &first, &err) < 0)
        return 0;
    char *text = api_reports_format(&first);
    if (!text || api_reports_parse(text, strlen(text), &second, &err) < 0)
        abort();
    char *again = api_reports_format(&second);
    if (!again || strcmp(text, again) != 0)
        abort();
    free(text);
    free(again);
    return 0;
}
