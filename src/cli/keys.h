/* Between the files of `muster keys`. */
#ifndef MUSTER_CLI_KEYS_H
#define MUSTER_CLI_KEYS_H

#include "cli/cli.h"

/* The beginning of a fleet: offline keys, root and targets. */
struct keys_init {
    const char *dir, *fleet, *online;
    int64_t expires_days;
    bool no_passphrase;
};
int keys_init_fleet(const struct keys_init *flags, struct err *err) must_check;
/* Roles, keys, expiry dates and what is pending. */
int keys_list_fleet(const char *dir, bool json, struct err *err) must_check;

int keys_new_run(int argc, char **argv, struct err *err); /* a key, and nothing else */
/* A new root each: muster keys … */
int keys_add_run(int argc, char **argv, struct err *err);
int keys_remove_run(int argc, char **argv, struct err *err);
int keys_threshold_run(int argc, char **argv, struct err *err);
int keys_rotate_run(int argc, char **argv, struct err *err);
int keys_renew_run(int argc, char **argv, struct err *err);
int keys_sign_run(int argc, char **argv, struct err *err);
int keys_publish_run(int argc, char **argv, struct err *err);

#endif
