/* Any bytes as a document of ours: never a crash; what is taken is written, and taken again with the same
 * text. */
#ifndef MUSTER_FUZZ_ROUND_TRIP_H
#define MUSTER_FUZZ_ROUND_TRIP_H

#include "base/err.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Defines the target for `struct type` with its pair of functions. */
#define FUZZ_ROUND_TRIP(type, parse, format)                                                                 \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                                             \
    {                                                                                                        \
        static struct type first, second;                                                                    \
        struct err err = {0};                                                                                \
        if (parse(data, size, &first, &err) < 0)                                                             \
            return 0;                                                                                        \
        char *text = format(&first);                                                                         \
        if (!text || parse(text, strlen(text), &second, &err) < 0)                                           \
            abort();                                                                                         \
        char *again = format(&second);                                                                       \
        if (!again || strcmp(text, again) != 0)                                                              \
            abort();                                                                                         \
        free(text);                                                                                          \
        free(again);                                                                                         \
        return 0;                                                                                            \
    }

#endif
