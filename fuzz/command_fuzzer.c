/* deps: wire base */
#include "base/mem.h"
#include "wire/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes as a command, and as the line of an outcome: never a crash; what is taken is written and taken again the same. */
static void try_outcome(const uint8_t *data, size_t size)
{
    char line[512], again[768];
    struct command_outcome first, second;
    size = MIN(size, sizeof line - 1);
    memcpy(line, data, size);
    line[size] = 0;
    if (!command_outcome_parse(line, &first))
        return;
    command_outcome_format(&first, again, sizeof again);
    if (!command_outcome_parse(again, &second) || first.id != second.id || first.verb != second.verb ||
        first.accepted != second.accepted || first.lease != second.lease ||
        first.generation != second.generation)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_command struct command first = {0}, second = {0};
    try_outcome(data, size);
    if (command_parse(data, size, &first, &err) < 0)
        return 0;
    cleanup_free char *text = command_format(&first);
    if (!text || command_parse(text, strlen(text), &second, &err) < 0)
        abort();
    cleanup_free char *again = command_format(&second);
    if (!again || strcmp(text, again) != 0)
        abort();
    return 0;
}
