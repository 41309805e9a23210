/* Instants as TUF writes them: "2026-01-02T03:04:05Z", UTC, whole seconds, and nothing else (no fraction, no other zone, no leap second).
 * Pure arithmetic on the Gregorian calendar: no table of zones, no locale, years 1970 … 9999. */
#ifndef MUSTER_WIRE_INSTANT_H
#define MUSTER_WIRE_INSTANT_H

#include <stdbool.h>
#include <stdint.h>

enum { INSTANT_SIZE = 21 };          /* with the terminating 0 */
#define INSTANT_MAX_S 253402300799LL /* 9999-12-31T23:59:59Z */

bool instant_parse(const char *text, int64_t *out_s); /* *out_s untouched if it is none */
/* `s` beyond 0 … INSTANT_MAX_S is brought to the nearer end. */
void instant_format(int64_t s, char out[INSTANT_SIZE]);

#endif
