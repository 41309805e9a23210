/* Random numbers that are the same on every machine: PCG32 (a stream) and a hash (a value per place).
 * Everything random in the world comes from here, so that a seed fixes every pixel.
 */
#ifndef MUSTER_SIM_WORLD_PRNG_H
#define MUSTER_SIM_WORLD_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t state;
};

static inline uint64_t prng_mix(uint64_t x) /* splitmix64 */
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A stream for (seed, what it is for). */
static inline struct prng prng_of(uint64_t seed, uint64_t purpose)
{
    return (struct prng){.state = prng_mix(prng_mix(seed) ^ (purpose * 0xd1342543de82ef95u))};
}

static inline uint32_t prng_next(struct prng *rng)
{
    uint64_t old = rng->state;
    uint32_t shifted = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);

    rng->state = old * 6364136223846793005u + 1442695040888963407u;
    return (shifted >> turn) | (shifted << ((32 - turn) & 31));
}

static inline float prng_unit(struct prng *rng) /* [0, 1) */
{
    return (float)(prng_next(rng) >> 8) * (1.0f / 16777216.0f);
}

static inline float prng_range(struct prng *rng, float low, float high)
{
    return low + (high - low) * prng_unit(rng);
}

static inline int prng_below(struct prng *rng, int count)
{
    return (int)(((uint64_t)prng_next(rng) * (uint64_t)count) >> 32);
}

static inline bool prng_chance(struct prng *rng, float probability)
{
    return prng_unit(rng) < probability;
}

/* A value per place, cheap enough for one per pixel. */
static inline uint32_t prng_place(int a, int b, uint32_t salt)
{
    uint32_t h = (uint32_t)a * 0x8da6b343u ^ (uint32_t)b * 0xd8163841u ^ salt * 0xcb1ab31fu;

    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    h ^= h >> 12;
    h *= 0x297a2d39u;
    return h ^ (h >> 15);
}

#endif
