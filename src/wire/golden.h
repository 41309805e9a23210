/* golden.bin: frames and the output tensors they gave on the packing machine; the robot's self-test before activation.
 *
 *   0  u8[8]  "MGOLDEN1"                    "MGOLDEN2": cases begin with their format, and at least one is not RGB8
 *   8  u32    number of cases (1..64), little-endian as everything
 *   case:
 *      u32 format                      MGOLDEN2 only: enum frame_format
 *      u32 width, u32 height           RGB8: pixels; float32: `width` floats, height 1
 *      u32 output_count (1..8)
 *      u8[bytes of the frame]          RGB8: interleaved, width * height * 3; float32: 4 * width
 *      output: u32 element_count, float32[element_count]   in the order of release.outputs, without the tap
 * The cases are one sequence: a model with memory runs them in this order, its state all zeros before the first.
 * Limits: sides of 1..8192 pixels, 1..2^24 floats, outputs of 1..2^26 elements, nothing behind the last case.
 * A reader gets views into the mapped file; nothing is copied. All sizes are checked against the file's.
 */
#ifndef MUSTER_WIRE_GOLDEN_H
#define MUSTER_WIRE_GOLDEN_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/release.h"

#include <stddef.h>
#include <stdint.h>

enum { GOLDEN_MAX_CASES = 64, GOLDEN_MAX_OUTPUTS = 8 };

struct golden_case {
    enum frame_format format;
    uint32_t width, height;
    const uint8_t *data; /* of the frame; floats may be unaligned */
    uint32_t output_count;
    uint32_t output_len[GOLDEN_MAX_OUTPUTS];
    const uint8_t *outputs[GOLDEN_MAX_OUTPUTS]; /* float32 little-endian, may be unaligned: memcpy out */
};

struct golden {
    uint32_t count;
    struct golden_case cases[GOLDEN_MAX_CASES];
};

size_t golden_frame_bytes(const struct golden_case *item);
int golden_parse(const uint8_t *data, size_t len, struct golden *out,
                 struct err *err) must_check; /* borrows data */
/* Appends; writes nothing of a case list that golden_parse would refuse. */
int golden_write(const struct golden *golden, struct buf *out, struct err *err) must_check;

#endif
