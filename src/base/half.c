#include "base/half.h"

#include <string.h>

enum { HALF_INFINITY = 0x7c00, HALF_NAN = 0x7e00, BIAS_DIFFERENCE = 112, LOST_BITS = 13 };

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* `bits` >> `shift`, to the nearest, ties to even. */
static uint32_t shift_round(uint32_t bits, unsigned shift)
{
    uint32_t kept = bits >> shift, rest = bits & ((1u << shift) - 1), tie = 1u << (shift - 1);
    return kept + (rest > tie || (rest == tie && (kept & 1)));
}

uint16_t half_of(float value)
{
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    const int exponent = (int)(magnitude >> 23) - BIAS_DIFFERENCE; /* of float16 */
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | HALF_NAN);
    if (exponent >= 31)
        return (uint16_t)(sign | HALF_INFINITY);
    if (exponent > 0) /* a carry out of the fraction is the next exponent, up to infinity */
        return (uint16_t)(sign | shift_round(magnitude - ((uint32_t)BIAS_DIFFERENCE << 23), LOST_BITS));
    if (exponent < -10)
        return (uint16_t)sign;
    return (uint16_t)(sign |
                      shift_round((magnitude & 0x7fffff) | 0x800000, (unsigned)(LOST_BITS + 1 - exponent)));
}

float half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31,
                   fraction = half & 0x3ff;
    uint32_t bits =
        sign | (exponent == 31 ? 0xffu : exponent + BIAS_DIFFERENCE) << 23 | fraction << LOST_BITS;
    float value;
    if (exponent == 0) { /* fraction / 2^24 */
        float tiny = (float)fraction * 0x1p-24F;
        return sign ? -tiny : tiny;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}
