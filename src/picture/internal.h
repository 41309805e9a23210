/* Shared by the two decoders. */
#ifndef MUSTER_PICTURE_INTERNAL_H
#define MUSTER_PICTURE_INTERNAL_H

#include "picture/picture.h"

int picture_check_size(uint64_t width, uint64_t height, struct err *err) must_check;
int picture_decode_png(const void *data, size_t len, struct picture *out, struct err *err) must_check;
int picture_decode_jpeg(const void *data, size_t len, struct picture *out, struct err *err) must_check;

#endif
