/* How a loop of signals_loops.h is compiled twice, and lanes that stay in registers, where the compiler does not find that by itself. Private to *_loops.c.
 */
#ifndef MUSTER_INFER_SIGNALS_COPIES_H
#define MUSTER_INFER_SIGNALS_COPIES_H

#include <stdint.h>

#define LOOP static inline __attribute__((always_inline))

/* CHOICE: a plain function and, on x86, name_avx2 are there. COPIES: both are made of name_loop. */
#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))
#define CHOICE(type, name, plain, parameters, arguments)                                                     \
    type loops_##name parameters                                                                             \
    {                                                                                                        \
        return (__builtin_cpu_supports("avx2") ? name##_avx2 : plain)arguments;                              \
    }
#define COPIES(type, name, parameters, arguments)                                                            \
    static type name##_plain parameters                                                                      \
    {                                                                                                        \
        return name##_loop arguments;                                                                        \
    }                                                                                                        \
    AVX2 static type name##_avx2 parameters                                                                  \
    {                                                                                                        \
        return name##_loop arguments;                                                                        \
    }                                                                                                        \
    CHOICE(type, name, name##_plain, parameters, arguments)
#else
#define CHOICE(type, name, plain, parameters, arguments)                                                     \
    type loops_##name parameters                                                                             \
    {                                                                                                        \
        return plain arguments;                                                                              \
    }
#define COPIES(type, name, parameters, arguments)                                                            \
    type loops_##name parameters                                                                             \
    {                                                                                                        \
        return name##_loop arguments;                                                                        \
    }
#endif

/* What the compiler does not find by itself: sums that stay in registers. */
typedef float lanes_f32 __attribute__((vector_size(32), aligned(4)));
typedef int32_t lanes_i32 __attribute__((vector_size(32), aligned(4)));
typedef uint32_t lanes_u32 __attribute__((vector_size(32), aligned(4)));
typedef uint16_t lanes_u16 __attribute__((vector_size(32), aligned(2)));
typedef int16_t lanes_i16 __attribute__((vector_size(32), aligned(1)));

#endif
