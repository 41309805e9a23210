/* musterd's commands. Each returns when it is done; `server_serve` after SIGTERM or SIGINT.
 *
 *     SIGTERM ─▶ STOPPING ─▶ held requests are answered, streams end, the last commit ─▶ 200 ms for the bytes
 * ─▶ exit 0
 */
#ifndef MUSTER_FLEET_SERVER_SERVER_H
#define MUSTER_FLEET_SERVER_SERVER_H

#include "base/err.h"
#include "fleet/server/options.h"

/* Makes the directory: CA, server certificate, online keys, database, first operator token (on stdout, or into
 * options->token_file). Errors: EXISTS if there is an operator token already. */
int server_init(const struct server_options *options, struct err *err) must_check;

/* Makes one more operator token. */
int server_token(const struct server_options *options, struct err *err) must_check;

/* Makes the next key of an online role (trust/repo/online.h). May run beside a musterd that serves. */
int server_rotate(const struct server_options *options, struct err *err) must_check;

int server_serve(const struct server_options *options, struct err *err) must_check;

#endif
