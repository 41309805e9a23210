/* Many labelled frames in one file, for training. Little endian, no padding.
 *
 *     "MUSTFRM1"   u32 width   u32 height   u32 frames   u32 boxes_max   u32 0   u32 0         32 bytes
 *     per frame, all of one size:
 *       u8  rgb[height][width][3]
 *       u32 site   u32 boxes
 *       boxes_max times: u32 label   f32 x0   f32 y0   f32 x1   f32 y1        zero behind the last box
 */
#ifndef MUSTER_SIM_FRAMES_RAW_H
#define MUSTER_SIM_FRAMES_RAW_H

#include "base/err.h"
#include "sim/world/world.h"

#include <stdint.h>
#include <stdio.h>

int raw_begin(FILE *file, uint32_t frames, struct err *err) must_check;
int raw_frame(FILE *file, int site, const uint8_t *rgb, const struct world_box *boxes, size_t count,
              struct err *err) must_check;

#endif
