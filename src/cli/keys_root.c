/* muster keys add, remove, threshold, rotate, renew, sign, publish: a new root, signed by as many as it takes. */
#include "cli/keys.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/key_file.h"
#include "cli/passphrase.h"
#include "cli/station.h"
#include "sys/file.h"
#include "trust/repo/online.h"

#include <inttypes.h>

enum { DAY_S = 86400 };

struct root_flags {
    const char *dir, *key, *new_name, *online, *merge;
    int64_t expires_days;
    bool no_passphrase;
};
#define ROOT_FLAGS                                                                                           \
    {                                                                                                        \
        .dir = "keys", .expires_days = STATION_DAYS                                                          \
    }
#define ROOT_OPTIONS(flags)                                                                                  \
    OPT_TEXT("dir", 'd', &(flags).dir), OPT_TEXT("key", 'k', &(flags).key),                                  \
        OPT_INT("expires-days", 0, &(flags).expires_days, 1, STATION_MAX_DAYS),                              \
        OPT_FLAG("no-passphrase", 0, &(flags).no_passphrase)

/* A root that is edited. */
struct change {
    struct station station;
    struct tuf_metadata root;
};

static void change_fini(struct change *change)
{
    tuf_metadata_fini(&change->root);
    station_close(&change->station);
}
#define cleanup_change __attribute__((cleanup(change_fini)))
#define NO_CHANGE                                                                                            \
    {                                                                                                        \
        .station = {.lock = -1 }                                                                             \
    }

static int change_begin(const struct root_flags *flags, struct change *change, struct err *err)
{
    return station_open(flags->dir, &change->station, err) < 0
               ? -1
               : repo_edit_root(change->station.repo, &change->root, err);
}

static int change_end(const struct root_flags *flags, struct change *change, struct err *err)
{
    bool published = false;
    change->root.expires_s = station_now_s() + flags->expires_days * DAY_S;
    if (repo_put_pending(change->station.repo, "root", &change->root, err) < 0 ||
        station_complete(&change->station, "root", flags->key, &published, err) < 0)
        return -1;
    return station_end(&change->station, "root", published, err);
}

/* "root", "release": roles whose keys people hold. */
static const char *offline_role(const char *word, struct err *err)
{
    const char *role = station_role(word);
    if (role && (str_eq(role, "root") || str_eq(role, "targets")))
        return role;
    err_set(
        err, ERR_USAGE,
        "%.60s: root or release; the server's keys change with muster keys rotate %.60s --online online.json",
        word, role ? role : "ROLE");
    return NULL;
}

static int make_key(const struct root_flags *flags, const char *name, struct tuf_signer **out,
                    struct err *err)
{
    cleanup_passphrase char *passphrase = NULL;
    if (!str_is_name(name, 60))
        return err_set(err, ERR_USAGE, "%.60s: up to 60 letters, digits, '.', '_' and '-'", name);
    if (!flags->no_passphrase && passphrase_choose(&passphrase, err) < 0)
        return -1;
    return key_file_make(flags->dir, name, passphrase, out, err);
}

/* ---- new, add, remove, threshold ---- */

/* A key of somebody who has no part in a fleet yet. */
int keys_new_run(int argc, char **argv, struct err *err)
{
    struct root_flags flags = {.dir = "."};
    struct operands operands = {.usage = "NAME", .min = 1, .max = 1};
    const struct option_def options[] = {OPT_TEXT("dir", 'd', &flags.dir),
                                         OPT_FLAG("no-passphrase", 0, &flags.no_passphrase)};
    cleanup_tuf_signer struct tuf_signer *signer = NULL;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0 ||
        make_key(&flags, operands.items[0], &signer, err) < 0)
        return -1;
    printf("%s  %s\n%s/%s.key       yours alone\n%s/%s.pub.json  for muster keys add\n", operands.items[0],
           tuf_signer_public(signer)->id, flags.dir, operands.items[0], flags.dir, operands.items[0]);
    return 0;
}

static int add(const struct root_flags *flags, struct change *change, const char *role,
               const char *public_file, struct err *err)
{
    cleanup_tuf_signer struct tuf_signer *signer = NULL;
    cleanup_key_file struct tuf_key key = {0};
    if (flags->new_name)
        return make_key(flags, flags->new_name, &signer, err) < 0
                   ? -1
                   : repo_add_key(&change->root, role, tuf_signer_public(signer), err);
    return key_file_read(public_file, &key, err) < 0 ? -1 : repo_add_key(&change->root, role, &key, err);
}

int keys_add_run(int argc, char **argv, struct err *err)
{
    struct root_flags flags = ROOT_FLAGS;
    struct operands operands = {.usage = "ROLE PUB.json | ROLE --new NAME", .min = 1, .max = 2};
    const struct option_def options[] = {ROOT_OPTIONS(flags), OPT_TEXT("new", 'n', &flags.new_name)};
    cleanup_change struct change change = NO_CHANGE;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    const char *role = offline_role(operands.items[0], err);
    if (!role)
        return -1;
    if ((operands.count == 2) == (flags.new_name != NULL))
        return err_set(err, ERR_USAGE, "the key: PUB.json, or --new NAME for one that is made now");
    if (change_begin(&flags, &change, err) < 0 || add(&flags, &change, role, operands.items[1], err) < 0)
        return -1;
    return change_end(&flags, &change, err);
}

/* The whole key id from its beginning, or from the name of a key that lies here. */
static const char *find_keyid(const struct change *change, const struct tuf_keyset *set, const char *word,
                              struct err *err)
{
    const char *found = NULL;
    cleanup_free char *path = mem_printf("%s/%s" KEY_FILE_PUBLIC, change->station.dir, word);
    cleanup_key_file struct tuf_key key = {0};
    struct err ignored = {0};
    if (str_is_name(word, 63) && path && file_exists(path) && key_file_read(path, &key, &ignored) == 0)
        word = key.id;
    for (size_t i = 0; i < set->count; i++) {
        if (!str_starts(set->keyids[i], word))
            continue;
        if (found) {
            err_set(err, ERR_USAGE, "%.60s: several keys begin so", word);
            return NULL;
        }
        found = set->keyids[i];
    }
    if (!found)
        err_set(err, ERR_NOT_FOUND, "%.60s: no key of this role; muster keys list shows them", word);
    return found;
}

static int remove_key(struct change *change, const char *role, const char *word, struct err *err)
{
    const char *found = find_keyid(change, repo_keyset(&change->root, role), word, err);
    cleanup_free char *keyid = found ? mem_strdup(found) : NULL;
    if (!found)
        return -1;
    return keyid ? repo_remove_key(&change->root, role, keyid, err) : err_no_memory(err);
}

int keys_remove_run(int argc, char **argv, struct err *err)
{
    struct root_flags flags = ROOT_FLAGS;
    struct operands operands = {.usage = "ROLE KEY", .min = 2, .max = 2};
    const struct option_def options[] = {ROOT_OPTIONS(flags)};
    cleanup_change struct change change = NO_CHANGE;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    const char *role = offline_role(operands.items[0], err);
    if (!role || change_begin(&flags, &change, err) < 0 ||
        remove_key(&change, role, operands.items[1], err) < 0)
        return -1;
    return change_end(&flags, &change, err);
}

int keys_threshold_run(int argc, char **argv, struct err *err)
{
    struct root_flags flags = ROOT_FLAGS;
    struct operands operands = {.usage = "ROLE NUMBER", .min = 2, .max = 2};
    const struct option_def options[] = {ROOT_OPTIONS(flags)};
    cleanup_change struct change change = NO_CHANGE;
    int64_t number = 0;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    const char *role = offline_role(operands.items[0], err);
    if (!role)
        return -1;
    if (!str_to_i64(operands.items[1], &number) || number < 1 || number > 100)
        return err_set(err, ERR_USAGE, "%.60s: how many keys must sign, from 1 on", operands.items[1]);
    if (change_begin(&flags, &change, err) < 0)
        return -1;
    repo_keyset(&change.root, role)->threshold = number;
    return change_end(&flags, &change, err);
}

/* ---- rotate ---- */

/* root.key of version 3 is root-3.key. */
static int rotate_offline(const struct root_flags *flags, struct change *change, const char *role,
                          const char *old, struct err *err)
{
    const struct tuf_keyset *set = repo_keyset(&change->root, role);
    cleanup_tuf_signer struct tuf_signer *signer = NULL;
    char name[64];
    if (!old && set->count != 1)
        return err_set(err, ERR_USAGE,
                       "there are %zu such keys; say which one goes: muster keys rotate %s KEY", set->count,
                       str_eq(role, "root") ? "root" : "release");
    snprintf(name, sizeof name, "%s-%" PRId64, str_eq(role, "root") ? "root" : "release",
             change->root.version);
    if (remove_key(change, role, old ? old : set->keyids[0], err) < 0 ||
        make_key(flags, flags->new_name ? flags->new_name : name, &signer, err) < 0)
        return -1;
    return repo_add_key(&change->root, role, tuf_signer_public(signer), err);
}

static int replace_online(struct change *change, const struct online_public *online, enum online_role role,
                          struct err *err)
{
    const char *name = online_role_name(role);
    struct tuf_keyset *set = repo_keyset(&change->root, name);
    while (set->count > 0) {
        cleanup_free char *keyid = mem_strdup(set->keyids[0]);
        if (!keyid)
            return err_no_memory(err);
        if (repo_remove_key(&change->root, name, keyid, err) < 0)
            return -1;
    }
    set->threshold = 1;
    return repo_add_key(&change->root, name, &online->keys[role], err);
}

static int rotate_online(const struct root_flags *flags, struct change *change, const char *word,
                         struct err *err)
{
    cleanup_online_public struct online_public online = {0};
    if (!flags->online)
        return err_set(err, ERR_USAGE,
                       "the server makes its keys itself; give the new ones: --online online.json");
    if (online_public_load(flags->online, &online, err) < 0)
        return -1;
    for (int i = 0; i < ONLINE_ROLES; i++)
        if ((str_eq(word, "online") || str_eq(word, online_role_name(i))) &&
            replace_online(change, &online, i, err) < 0)
            return -1;
    return 0;
}

int keys_rotate_run(int argc, char **argv, struct err *err)
{
    struct root_flags flags = ROOT_FLAGS;
    struct operands operands = {.usage = "ROLE [KEY]", .min = 1, .max = 2};
    const struct option_def options[] = {ROOT_OPTIONS(flags), OPT_TEXT("new", 'n', &flags.new_name),
                                         OPT_TEXT("online", 0, &flags.online)};
    cleanup_change struct change change = NO_CHANGE;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    const char *word = operands.items[0], *role = station_role(word);
    if (!role && !str_eq(word, "online"))
        return err_set(
            err, ERR_USAGE,
            "%.60s: root, release, timestamp, snapshot, director, audit, or online for the last four", word);
    bool offline = role && (str_eq(role, "root") || str_eq(role, "targets"));
    if (change_begin(&flags, &change, err) < 0)
        return -1;
    if (offline
            ? rotate_offline(&flags, &change, role, operands.count == 2 ? operands.items[1] : NULL, err) < 0
            : rotate_online(&flags, &change, word, err) < 0)
        return -1;
    return change_end(&flags, &change, err);
}

int keys_renew_run(int argc, char **argv, struct err *err)
{
    struct root_flags flags = ROOT_FLAGS;
    struct operands operands = {.max = 0};
    const struct option_def options[] = {ROOT_OPTIONS(flags)};
    cleanup_change struct change change = NO_CHANGE;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0 ||
        change_begin(&flags, &change, err) < 0)
        return -1;
    return change_end(&flags, &change, err);
}

/* ---- sign, publish: what is pending ---- */

static const char *const signed_roles[] = {"root", "targets"};

/* Calls each role that has something pending; NOT_FOUND if none has. */
static int each_pending(struct station *station, const struct root_flags *flags,
                        int (*visit)(struct station *, const struct root_flags *, const char *role,
                                     struct err *),
                        struct err *err)
{
    size_t visited = 0;
    for (size_t i = 0; i < ARRAY_LEN(signed_roles); i++) {
        cleanup_tuf_metadata struct tuf_metadata pending = {0};
        if (repo_pending(station->repo, signed_roles[i], &pending, err) < 0) {
            if (err->code != ERR_NOT_FOUND)
                return -1;
            *err = (struct err){0};
            continue;
        }
        visited++;
        if (visit(station, flags, signed_roles[i], err) < 0)
            return -1;
    }
    return visited > 0 ? 0 : err_set(err, ERR_NOT_FOUND, "nothing is pending in %s", station->dir);
}

/* From a copy of the directory, in which it is pending or, with the last signature, published. */
static int merge(struct station *station, const char *from, const char *role, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0};
    cleanup_buf struct buf bytes = BUF_INIT(5000000);
    if (repo_pending(station->repo, role, &pending, err) < 0)
        return -1;
    cleanup_free char *waits =
                          mem_printf("%s/metadata/pending/%" PRId64 ".%s.json", from, pending.version, role),
                      *done = mem_printf("%s/metadata/%" PRId64 ".%s.json", from, pending.version, role);
    if (!waits || !done)
        return err_no_memory(err);
    if (!station_exists(from))
        return err_set(err, ERR_NOT_FOUND, "--merge %s: no copy of a keys directory", from);
    const char *path = file_exists(waits) ? waits : done;
    if (!file_exists(path))
        return 0;
    if (file_read(path, &bytes, err) < 0)
        return -1;
    return repo_merge_pending(station->repo, role, buf_text(&bytes), bytes.len, err) < 0
               ? err_prefix(err, "%s", path)
               : 0;
}

/* A key that speaks for the other role only is no error. */
static int sign_role(struct station *station, const struct root_flags *flags, const char *role,
                     struct err *err)
{
    bool published = false;
    if (flags->merge && merge(station, flags->merge, role, err) < 0)
        return -1;
    if (station_complete(station, role, flags->key, &published, err) < 0) {
        if (!flags->key || err->code != ERR_REFUSED)
            return -1;
        printf("%s: this key does not speak for it\n", role);
        *err = (struct err){0};
    }
    return station_end(station, role, published, err);
}

int keys_sign_run(int argc, char **argv, struct err *err)
{
    struct root_flags flags = ROOT_FLAGS;
    struct operands operands = {.max = 0};
    const struct option_def options[] = {OPT_TEXT("dir", 'd', &flags.dir), OPT_TEXT("key", 'k', &flags.key),
                                         OPT_TEXT("merge", 'm', &flags.merge)};
    cleanup_station struct station station = {.lock = -1};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0 ||
        station_open(flags.dir, &station, err) < 0)
        return -1;
    return each_pending(&station, &flags, sign_role, err);
}

static int publish_role(struct station *station, const struct root_flags *flags, const char *role,
                        struct err *err)
{
    bool published = false;
    if (station_publish(station, role, &published, err) < 0)
        return -1;
    return station_end(station, role, published, err);
}

int keys_publish_run(int argc, char **argv, struct err *err)
{
    struct root_flags flags = ROOT_FLAGS;
    struct operands operands = {.max = 0};
    const struct option_def options[] = {OPT_TEXT("dir", 'd', &flags.dir)};
    cleanup_station struct station station = {.lock = -1};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0 ||
        station_open(flags.dir, &station, err) < 0)
        return -1;
    return each_pending(&station, &flags, publish_role, err);
}
