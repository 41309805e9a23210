/* hold, release, override, …: what a person orders robots to do.
 *
 *     from afar   named robots ─▶ a command signed with the operator's key ─▶ server ─▶ robots ─▶ what became of it
 *     --local     straight to the guard's socket of this robot: outranks everybody far away, wants no key
 */
#ifndef MUSTER_CLI_OPERATE_H
#define MUSTER_CLI_OPERATE_H

#include "cli/cli.h"
#include "cli/client.h"
#include "wire/command.h"

struct operate {
    enum command_verb verb;
    struct client_flags where;
    struct operands robots;
    struct option_list select; /* LABEL=VALUE, all of them */
    const char *reason, *key, *as, *run_dir;
    double ttl_s, expires_s;
    int64_t lease; /* 0: the one this operator holds there, if any */
    bool yes, no_wait, json, hold_open, local;
};

/* 0, or an exit status above 0 (all has been said), or -1. */
int operate_remote(const struct operate *operate, struct err *err) must_check;
int operate_local(const struct operate *operate, struct err *err) must_check;

/* ^C and SIGTERM are only noted from now on. */
void operate_catch_signals(void);
bool operate_interrupted(void);
/* False: it was interrupted. */
bool operate_sleep_ms(int64_t ms);

#endif
