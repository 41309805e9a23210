/* float16 (IEEE 754 binary16) as its bits: C17 has no type for it. */
#ifndef MUSTER_BASE_HALF_H
#define MUSTER_BASE_HALF_H

#include <stdint.h>

uint16_t half_of(float value); /* ties to even; overflow: infinity; NaN stays NaN */
float half_to_float(uint16_t bits);

#endif
