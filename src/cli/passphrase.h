/* The passphrase of offline keys: from the file that MUSTER_PASSPHRASE_FILE names (its first line), else from the terminal, without an echo. Never
 * from the command line, where others see it. Wipe it with passphrase_free. */
#ifndef MUSTER_CLI_PASSPHRASE_H
#define MUSTER_CLI_PASSPHRASE_H

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>

enum { PASSPHRASE_MIN = 8 };

/* For a key that is there: `what` is its path. Errors: DENIED if there is neither file nor terminal, INVALID for an empty one. */
int passphrase_ask(const char *what, char **out, struct err *err) must_check;
/* For a new one: at least PASSPHRASE_MIN characters, asked for twice on a terminal. */
int passphrase_choose(char **out, struct err *err) must_check;
void passphrase_free(char *passphrase);
MUSTER_CLEANUP(char *, passphrase_free)
#define cleanup_passphrase __attribute__((cleanup(passphrase_freep)))

#endif
