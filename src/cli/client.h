/* The operator API (docs/api.md) for the verbs that talk to a server.
 *
 *     struct client_flags where = {0};
 *     const struct option_def options[] = {CLIENT_OPTIONS(where), …};
 *     …
 *     struct client *client = NULL;
 *     if (client_open(&where, &client, err) < 0) …
 *     cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
 *     if (client_call(client, "GET", "/api/v1/robots", NULL, &answer, err) < 0) …
 *
 * Where flags are missing the environment is asked: MUSTER_SERVER (https://host:port), MUSTER_TOKEN (the
 * token itself), MUSTER_CA (path of the server's CA). Errors are those the server names, else USAGE (no
 * server given), UNREACHABLE, TIMEOUT, UNTRUSTED (certificate).
 */
#ifndef MUSTER_CLI_CLIENT_H
#define MUSTER_CLI_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENT_MAX_ANSWER = 16 << 20 };

struct client_flags {
    const char *server, *token_file, *ca;
};

#define CLIENT_OPTIONS(flags)                                                                                \
    OPT_TEXT("server", 's', &(flags).server), OPT_TEXT("token-file", 't', &(flags).token_file),              \
        OPT_TEXT("ca", 0, &(flags).ca)

/* For the help texts of such verbs. */
#define CLIENT_HELP                                                                                          \
    "  -s, --server URL       the fleet server (MUSTER_SERVER)\n"                                            \
    "  -t, --token-file FILE  operator token (MUSTER_TOKEN: the token itself)\n"                             \
    "      --ca FILE          certificate authority of the server (MUSTER_CA)\n"

struct client;

int client_open(const struct client_flags *flags, struct client **out, struct err *err) must_check;

/* The beginning of a verb that has no options but these: CLIENT_OPTIONS and --json. */
int client_start(int argc, char **argv, struct operands *operands, bool *out_json, struct client **out,
                 struct err *err) must_check;

void client_free(struct client *client);
MUSTER_CLEANUP(struct client *, client_free)
#define cleanup_client __attribute__((cleanup(client_freep)))

/* `path` begins with "/". `json` is the body, NULL for none. `out` may be NULL. */
int client_call(struct client *client, const char *method, const char *path, const char *json,
                struct buf *out, struct err *err) must_check;

/* PUT of bytes. */
int client_put(struct client *client, const char *path, const void *data, size_t len, struct buf *out,
               struct err *err) must_check;

/* GET of bytes of any length, up to out->max. */
int client_download(struct client *client, const char *path, struct buf *out, struct err *err) must_check;

/* Whether the server has it (HEAD: 2xx or 404). */
int client_has(struct client *client, const char *path, bool *out, struct err *err) must_check;

/* For each later call; at first 60 s. */
void client_set_timeout(struct client *client, int64_t timeout_ms);

const char *client_server(const struct client *client); /* the URL, without a slash at its end */

#endif
