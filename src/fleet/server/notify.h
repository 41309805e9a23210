/* The service manager's protocol (sd_notify(3)) without its library: one datagram to $NOTIFY_SOCKET. */
#ifndef MUSTER_FLEET_SERVER_NOTIFY_H
#define MUSTER_FLEET_SERVER_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1". Nothing happens if no service manager listens. */
void notify_send(const char *state);

/* How often it wants WATCHDOG=1: half of $WATCHDOG_USEC if it is meant for this process; 0: not at all. */
int64_t notify_watchdog_ms(void);

#endif
