/* What musterd is told: flags, and a YAML file with the same names for what is not given as a flag.
 *
 *     dir: /var/lib/muster
 *     robot_listen: 0.0.0.0:8443
 *     operator_listen: 0.0.0.0:8444
 *     console_listen: 127.0.0.1:8080
 *     root: /etc/muster/root.json
 *     operators: /etc/muster/operators.json
 */
#ifndef MUSTER_FLEET_SERVER_OPTIONS_H
#define MUSTER_FLEET_SERVER_OPTIONS_H

#include "base/err.h"
#include "fleet/rights/rights.h"

#include <stdbool.h>
#include <stdint.h>

enum { OPTION_TEXT_SIZE = 512, MAX_BLOB_MIB = 1 << 20 };

struct server_options {
    char dir[OPTION_TEXT_SIZE];
    char robot_listen[OPTION_TEXT_SIZE], operator_listen[OPTION_TEXT_SIZE];
    char console_listen[OPTION_TEXT_SIZE]; /* "" = no console listener */
    char operators[OPTION_TEXT_SIZE];      /* "" = the robots alone check who signed a command */
    char root[OPTION_TEXT_SIZE];           /* "" = what DIR/trust/ holds */
    char timestamp_hours[24], snapshot_days[24], assignment_days[24]; /* numbers, maybe with a fraction */
    char role[24];                                                    /* rotate */
    char ports_file[OPTION_TEXT_SIZE];
    char config[OPTION_TEXT_SIZE];
    char hosts[OPTION_TEXT_SIZE], token_file[OPTION_TEXT_SIZE], name[OPTION_TEXT_SIZE]; /* init and token */
    char rights[RIGHTS_TEXT_SIZE]; /* token: grants (fleet/rights/rights.h) */
    char days[24];                 /* token: how long it is good for; "": for ever */
    char revoke[OPTION_TEXT_SIZE]; /* token: end those of this name */
    char max_blob_mib[24];
    char certificate_hours[24], renew_grace_days[24]; /* numbers, maybe with a fraction */
    char remote_write[OPTION_TEXT_SIZE];              /* "": nobody wants the numbers */
    char remote_write_ca[OPTION_TEXT_SIZE], remote_write_token_file[OPTION_TEXT_SIZE];
    bool list; /* token: show them */
    bool help;
};

/* argv[0] is the command's name. Flags win over the file, the file over the defaults. Errors: USAGE. */
int server_options_parse(int argc, char **argv, struct server_options *out, struct err *err) must_check;

/* "127.0.0.1:8443", "[::1]:8443", "localhost:0". Errors: USAGE. */
struct listen_address {
    char host[256];
    uint16_t port;
};
int listen_address_parse(const char *text, struct listen_address *out, struct err *err) must_check;
bool listen_address_is_loopback(const struct listen_address *address);

#endif
