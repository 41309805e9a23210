/* Lower-case hexadecimal. */
#ifndef MUSTER_BASE_HEX_H
#define MUSTER_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void hex_encode(const uint8_t *data, size_t len, char *out); /* out: 2 * len + 1 bytes */
bool hex_decode(const char *text, size_t text_len,
                uint8_t *out); /* out: text_len / 2 bytes; lower case only */

#endif
