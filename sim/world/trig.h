/* Sine, cosine and floor without libm: only + - * and casts, hence the same bits on every IEEE machine. */
#ifndef MUSTER_SIM_WORLD_TRIG_H
#define MUSTER_SIM_WORLD_TRIG_H

#define TRIG_PI 3.14159265f

float trig_sin(float radians); /* within 1e-4 for |radians| < 1e4 */
float trig_cos(float radians);

static inline int trig_floor(float x)
{
    int i = (int)x;

    return i - ((float)i > x);
}

static inline float trig_clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* 0..1 with zero slope at both ends. */
static inline float trig_smooth(float x)
{
    float c = trig_clamp(x, 0, 1);

    return c * c * (3 - 2 * c);
}

#endif
