#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/blobs/blobs.h"
#include "fleet/server/server.h"
#include "fleet/store/store.h"
#include "sys/file.h"
#include "trust/ca.h"

static int hand_out(const struct server_options *options, const char *token, struct err *err)
{
    if (!options->token_file[0]) {
        bool told = puts(token) >= 0 && fflush(stdout) == 0;
        return told ? 0 : err_errno(err, "the token could not be written; make another with musterd token");
    }
    char line[80];
    int len = snprintf(line, sizeof line, "%s\n", token);
    return file_create(options->token_file, line, (size_t)len, 0600, err);
}

static int add_operator(struct store *store, const struct server_options *options, struct err *err)
{
    char token[65];
    if (options->token_file[0] && file_exists(options->token_file))
        return err_set(err, ERR_EXISTS, "%s exists; name another file", options->token_file);
    if (token_make(token, err) < 0 || store->ops->begin(store, err) < 0)
        return -1;
    struct digest hash = token_digest(token);
    if (store->ops->operator_add(store, &hash, options->name, clock_wall_ms(), err) < 0 ||
        store->ops->commit(store, err) < 0) {
        store->ops->rollback(store);
        return -1;
    }
    return hand_out(options, token, err);
}

static int open_store(const struct server_options *options, struct store **out, struct err *err)
{
    cleanup_free char *path = file_join(options->dir, "muster.db");
    if (!path)
        return err_no_memory(err);
    return store_open_sqlite(path, out, err);
}

int server_init(const struct server_options *options, struct err *err)
{
    cleanup_free char *layout = file_join(options->dir, "layout");
    cleanup_store struct store *store = NULL;
    cleanup_blobs struct blobs *blobs = NULL;
    int64_t operators;
    if (!layout)
        return err_no_memory(err);
    if (!str_is_name(options->name, 63))
        return err_set(err, ERR_USAGE, "--name wants 1 to 63 characters of [a-zA-Z0-9._-]");
    if (file_make_dirs(options->dir, 0700, err) < 0 ||
        ca_init(options->dir, options->hosts, clock_wall_ms() / 1000, err) < 0 ||
        blobs_open(layout, 1, &blobs, err) < 0 || open_store(options, &store, err) < 0 ||
        store->ops->operator_count(store, &operators, err) < 0)
        return -1;
    if (operators)
        return err_set(err, ERR_EXISTS, "%s has an operator already; make another token with musterd token",
                       options->dir);
    return add_operator(store, options, err);
}

int server_token(const struct server_options *options, struct err *err)
{
    cleanup_free char *path = file_join(options->dir, "muster.db");
    cleanup_store struct store *store = NULL;
    if (!path)
        return err_no_memory(err);
    if (!file_exists(path))
        return err_set(err, ERR_NOT_FOUND, "%s is no server directory; make one with musterd init",
                       options->dir);
    if (!str_is_name(options->name, 63))
        return err_set(err, ERR_USAGE, "--name wants 1 to 63 characters of [a-zA-Z0-9._-]");
    if (open_store(options, &store, err) < 0)
        return -1;
    return add_operator(store, options, err);
}
