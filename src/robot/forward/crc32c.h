/* CRC-32C (Castagnoli, polynomial 0x1edc6f41, as in RFC 3720 B.4): the check of a record. It finds what a cut or a bad flash block did; it is no signature. */
#ifndef MUSTER_ROBOT_FORWARD_CRC32C_H
#define MUSTER_ROBOT_FORWARD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t before, const void *data, size_t len); /* `before`: 0, or that of what came before */

#endif
