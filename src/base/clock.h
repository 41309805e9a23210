/* The clocks, read in one place. Pure rooms never call these: they take the time as an argument. */
#ifndef MUSTER_BASE_CLOCK_H
#define MUSTER_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void); /* Unix time; may step */
int64_t clock_mono_ms(void); /* never steps; comparable between processes of one boot */
int64_t clock_mono_ns(void);

#define CLOCK_RFC3339_SIZE 32
void clock_rfc3339(int64_t wall_ms, char out[CLOCK_RFC3339_SIZE]); /* "2026-01-02T03:04:05.678Z" */

#endif
