#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/audit/ledger.h"
#include "fleet/blobs/blobs.h"
#include "fleet/server/server.h"
#include "fleet/store/store.h"
#include "sys/file.h"
#include "trust/ca.h"
#include "trust/repo/online.h"

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

static int describe(const struct server_options *options, struct operator_row *out, struct err *err)
{
    struct rights rights;
    uint64_t days = 0;
    *out = (struct operator_row){.created_ms = clock_wall_ms()};
    if (rights_parse(options->rights, &rights, err) < 0) {
        err->code = ERR_USAGE;
        return err_prefix(err, "--rights");
    }
    if (options->days[0] && (!str_to_u64(options->days, &days) || days == 0 || days > 3650))
        return err_set(err, ERR_USAGE, "--days wants a number from 1 to 3650");
    str_copy(out->name, sizeof out->name, options->name);
    rights_format(&rights, out->rights);
    out->expires_ms = days ? out->created_ms + (int64_t)days * 24 * 3600 * 1000 : 0;
    return 0;
}

/* Operators' tokens are made at the server's own machine: by whom only its system knows. */
static int record(struct store *store, const char *what, const char *name, const char *rights,
                  struct err *err)
{
    const struct audit_entry entry = {
        .kind = "operator", .who = "musterd token", .what = what, .text = name, .why = rights};
    return ledger_append(store, &entry, err);
}

static int add_operator(struct store *store, const struct server_options *options, struct err *err)
{
    char token[65];
    struct operator_row row;
    if (describe(options, &row, err) < 0)
        return -1;
    if (options->token_file[0] && file_exists(options->token_file))
        return err_set(err, ERR_EXISTS, "%s exists; name another file", options->token_file);
    if (token_make(token, err) < 0 || store->ops->begin(store, err) < 0)
        return -1;
    row.hash = token_digest(token);
    if (store->ops->operator_add(store, &row, err) < 0 ||
        record(store, "make", row.name, row.rights, err) < 0 || store->ops->commit(store, err) < 0) {
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
        online_make(options->dir, err) < 0 || blobs_open(layout, 1, &blobs, err) < 0 ||
        open_store(options, &store, err) < 0 || store->ops->operator_count(store, &operators, err) < 0)
        return -1;
    if (operators)
        return err_set(err, ERR_EXISTS, "%s has an operator already; make another token with musterd token",
                       options->dir);
    return add_operator(store, options, err);
}

static void show_end(const struct operator_row *row, char out[64])
{
    char when[CLOCK_RFC3339_SIZE];
    int64_t at = row->revoked_ms ? row->revoked_ms : row->expires_ms;
    if (!at) {
        snprintf(out, 64, "-");
        return;
    }
    clock_rfc3339(at, when);
    snprintf(out, 64, "%s %.10s",
             row->revoked_ms         ? "revoked"
             : at <= clock_wall_ms() ? "expired"
                                     : "until",
             when);
}

static int show_operator(const struct operator_row *row, void *arg)
{
    char made[CLOCK_RFC3339_SIZE], end[64];
    (void)arg;
    clock_rfc3339(row->created_ms, made);
    show_end(row, end);
    printf("%-20s %.10s  %-18s  %s\n", row->name, made, end, row->rights);
    return 0;
}

static int list_operators(struct store *store, struct err *err)
{
    printf("%-20s %-10s  %-18s  %s\n", "NAME", "MADE", "END", "RIGHTS");
    return store->ops->operator_each(store, show_operator, NULL, err);
}

/* The tokens and the record of it, or neither. */
static int end_tokens(struct store *store, const char *name, int64_t *out_count, struct err *err)
{
    if (store->ops->operator_revoke(store, name, clock_wall_ms(), out_count, err) < 0)
        return -1;
    if (*out_count == 0)
        return err_set(err, ERR_NOT_FOUND, "%.63s has no token that holds; see musterd token --list", name);
    return record(store, "revoke", name, NULL, err) < 0 ? -1 : store->ops->commit(store, err);
}

static int revoke_operator(struct store *store, const char *name, struct err *err)
{
    int64_t count = 0;
    if (store->ops->begin(store, err) < 0)
        return -1;
    if (end_tokens(store, name, &count, err) < 0) {
        store->ops->rollback(store);
        return -1;
    }
    printf("%lld token%s of %s ended\n", (long long)count, count == 1 ? "" : "s", name);
    return 0;
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
    if (options->list)
        return list_operators(store, err);
    return options->revoke[0] ? revoke_operator(store, options->revoke, err)
                              : add_operator(store, options, err);
}

/* On record first, in a transaction of its own. */
static int record_rotation(const struct server_options *options, struct err *err)
{
    cleanup_store struct store *store = NULL;
    const struct audit_entry entry = {
        .kind = "keys", .who = "musterd rotate", .what = "next key", .text = options->role};
    if (open_store(options, &store, err) < 0 || store->ops->begin(store, err) < 0)
        return -1;
    if (ledger_append(store, &entry, err) < 0 || store->ops->commit(store, err) < 0) {
        store->ops->rollback(store);
        return -1;
    }
    return 0;
}

int server_rotate(const struct server_options *options, struct err *err)
{
    enum online_role role;
    cleanup_free char *keys = file_join(options->dir, "online.json");
    if (!keys)
        return err_no_memory(err);
    if (!online_role_from_name(options->role, &role))
        return err_set(err, ERR_USAGE, "--role wants timestamp, snapshot, director or audit");
    if (!file_exists(keys))
        return err_set(err, ERR_NOT_FOUND, "%s has no online keys; make them with musterd init",
                       options->dir);
    return record_rotation(options, err) < 0 ? -1 : online_rotate(options->dir, role, err);
}
