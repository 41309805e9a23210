/* Replays a corpus folder through a fuzz target without a fuzzer: every file as it is, cut at several places,
 * and with a fixed series of byte changes. Deterministic, so that a failure repeats. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_FILE = 1 << 20, MUTATIONS = 400 };

static uint8_t bytes[MAX_FILE];
static uint32_t random_state = 1;

static uint32_t next_random(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

/* Exactly as long as the input, so that a read past the end is seen by AddressSanitizer. */
static void run_copy(size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void mutate(size_t size)
{
    for (int i = 0; i < MUTATIONS && size; i++) {
        size_t at = next_random() % size;
        uint8_t old = bytes[at];
        bytes[at] = (uint8_t)next_random();
        run_copy(i % 4 ? size : next_random() % (size + 1));
        if (i % 3)
            bytes[at] = old;
    }
}

static int run_file(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "rbe");
    if (!file)
        return -1;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    run_copy(size);
    mutate(size);
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
    int ran = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.')
            ran += run_file(argv[1], entries[i]->d_name) == 0;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    printf("%d inputs, each with %d changes\n", ran, MUTATIONS);
    return ran > 0 ? 0 : 1;
}
