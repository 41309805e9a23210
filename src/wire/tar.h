/* ustar, the part of it that an engine image needs: directories and regular files, in blocks of 512 bytes.
 *
 *     header │ content, filled up with zeros │ header │ …  │ two blocks of zeros
 *
 *     0 name 100 │ mode 8 │ uid 8 │ gid 8 │ size 12 │ mtime 12 │ checksum 8 │ type 1 │ link 100 │ "ustar\0" "00" │ … │ 345 prefix 155
 *
 * Written: root's, time 0, so that equal trees are equal bytes. Read: strictly; whatever else tar can do (links, devices, sparse
 * files, extensions, absolute names, "..") is INVALID.
 */
#ifndef MUSTER_WIRE_TAR_H
#define MUSTER_WIRE_TAR_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { TAR_BLOCK = 512, TAR_NAME_SIZE = 256 };
#define TAR_MAX_BYTES 077777777777ull /* of one file */

struct tar_entry {
    char name[TAR_NAME_SIZE]; /* relative, str_is_safe_path, without a '/' at the end */
    bool directory;
    bool executable; /* files: mode 0755, else 0644; directories are 0755 */
    uint64_t size;   /* bytes; 0 for directories */
};

/* INVALID for a name that does not fit, TOO_BIG for a size. */
int tar_format(const struct tar_entry *entry, uint8_t out[TAR_BLOCK], struct err *err) must_check;

/* 1: *out; 0: a block of zeros, the end; -1 INVALID. */
int tar_parse(const uint8_t block[TAR_BLOCK], struct tar_entry *out, struct err *err) must_check;

/* What follows the content up to the next block. */
static inline unsigned tar_padding(uint64_t size)
{
    return (unsigned)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

#endif
