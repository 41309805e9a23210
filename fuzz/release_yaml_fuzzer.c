/* deps: wire */
/* Any bytes as release.yaml: never a crash; what is taken is a release that holds together. */
#include "wire/release.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    static struct release release, again;
    char path[128];
    if (release_parse_yaml("release.yaml", data, size, &release, path, sizeof path, &err) < 0)
        return 0;
    char *text = release_format(&release);
    if (!text || release_parse(text, strlen(text), &again, &err) < 0)
        abort();
    free(text);
    return 0;
}
