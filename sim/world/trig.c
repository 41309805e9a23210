#include "sim/world/trig.h"

/* Taylor up to x^9 over [-pi/2, pi/2]: error below 4e-6. */
static float sin_small(float x)
{
    float s = x * x;

    return x * (1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72))));
}

float trig_sin(float radians)
{
    float turns = radians / (2 * TRIG_PI);
    float x = (turns - (float)trig_floor(turns + 0.5f)) * (2 * TRIG_PI); /* -pi..pi */

    if (x > TRIG_PI / 2)
        x = TRIG_PI - x;
    else if (x < -TRIG_PI / 2)
        x = -TRIG_PI - x;
    return sin_small(x);
}

float trig_cos(float radians)
{
    return trig_sin(radians + TRIG_PI / 2);
}
