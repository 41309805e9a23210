/* Base64 (RFC 4648 section 4) as JSON documents carry bytes: the standard alphabet, with padding, one spelling per value.
 * White space, missing padding and stray bits in the last digit are refused. */
#ifndef MUSTER_WIRE_BASE64_H
#define MUSTER_WIRE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BASE64_SIZE(bytes) (((bytes) + 2) / 3 * 4 + 1) /* of the text, with the terminating 0 */

void base64_encode(const void *data, size_t len, char *out); /* out: BASE64_SIZE(len) */
/* `out` takes text_len / 4 * 3 bytes at the most. False: no base64. */
bool base64_decode(const char *text, size_t text_len, uint8_t *out, size_t *out_len);

#endif
