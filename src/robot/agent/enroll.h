/* How a robot gets its certificate: its key is made here and never leaves; a one-time token stands for it
 * once.
 *
 *   STATE_DIR/device.key    P-256, made before the first try, kept for the next ones
 *   STATE_DIR/device.pem    the certificate; its presence means "enrolled"
 *   STATE_DIR/ca.pem        trust anchor of the robot port, from the answer
 *
 * The token file is removed once the certificate is on the disk. */
#ifndef MUSTER_ROBOT_AGENT_ENROLL_H
#define MUSTER_ROBOT_AGENT_ENROLL_H

#include "base/err.h"
#include "base/mem.h"
#include "robot/agent/config.h"
#include "robot/store/store.h"

#include <stdbool.h>

struct fetch;
struct enroll;

bool enroll_done(const struct store *store); /* there is a certificate */

/* `config` and `store` are borrowed. Errors: USAGE if the configuration lacks what an enrolment needs. */
int enroll_new(const struct agent_config *config, const struct store *store, struct enroll **out,
               struct err *err) must_check;
void enroll_free(struct enroll *enroll);
MUSTER_CLEANUP(struct enroll *, enroll_free)
#define cleanup_enroll __attribute__((cleanup(enroll_freep)))

struct fetch *enroll_fetch(struct enroll *enroll); /* its transfers: to be polled by the caller; borrowed */
bool enroll_tick(struct enroll *enroll, int64_t now_ms); /* true: enrolled */
int64_t enroll_next_ms(const struct enroll *enroll);

#endif
