/* Private to the readers of model signatures and of what Sigstore says about them. */
#ifndef MUSTER_WIRE_OMS_INSIDE_H
#define MUSTER_WIRE_OMS_INSIDE_H

#include "wire/json.h"
#include "wire/oms.h"

#include <jansson.h>

void oms_expect(struct json_at at, const char *key, const char *wanted);
void oms_unsupported(struct json_at at, const char *what); /* an error of this code */

/* Base64 into memory of its own, 1 … max bytes; after an error out->data is NULL. */
void oms_get_bytes(struct json_at at, const char *key, size_t max, struct oms_bytes *out);
/* The same into an array; the number of bytes, 0 after an error. */
size_t oms_get_array(struct json_at at, const char *key, uint8_t *out, size_t max);
enum { OMS_HASH_TEXT = 45 }; /* of 32 bytes */
bool oms_decode_hash(const char *text, struct digest *out);
void oms_get_hash(struct json_at at, const char *key, struct digest *out); /* base64 of 32 bytes */
/* A number in digits within quotes, as protobuf writes 64 bits into JSON. */
void oms_get_number(struct json_at at, const char *key, uint64_t *out);
json_t *oms_from_bytes(const void *data, size_t len); /* base64 */

/* An entry of a transparency log (oms_log.c). */
void oms_log_read(struct json_at at, struct oms_log_entry *out);
json_t *oms_log_format(const struct oms_log_entry *entry);
void oms_log_fini(struct oms_log_entry *entry);

#endif
