#include "cli/verbs.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/keys.h"
#include "cli/output.h"
#include "cli/station.h"
#include "sys/file.h"
#include "trust/keyring.h"

static const char help[] =
    "usage: muster keys init --fleet NAME --online online.json [--dir DIR] [--expires-days N] "
    "[--no-passphrase]\n"
    "       muster keys list [--dir DIR] [--json]\n"
    "       muster keys new NAME [--dir DIR]\n"
    "       muster keys add root|release PUB.json | --new NAME\n"
    "       muster keys remove root|release KEY\n"
    "       muster keys threshold root|release NUMBER\n"
    "       muster keys rotate root|release [KEY]\n"
    "       muster keys rotate timestamp|snapshot|director|audit|online --online online.json\n"
    "       muster keys renew\n"
    "       muster keys sign [--key FILE] [--merge DIR]     muster keys publish\n"
    "       muster keys operator NAME [--dir DIR]           muster keys revoke KEY --operators [--dir DIR]\n"
    "\n"
    "The offline keys of a fleet (docs/keys.md). DIR (default: keys) holds root.key, which says whom to "
    "believe; release.key,\n"
    "which releases models; metadata/, what they have signed; and root.json, which the server and the robots "
    "get. online.json\n"
    "names the keys that the server holds; musterd init makes it.\n"
    "\n"
    "Every change is a new version of root: signed at once with the keys that lie in DIR, published when "
    "there "
    "are enough\n"
    "signatures (of the keys before and of the new ones), else pending until others have signed it on their "
    "machines. Robots\n"
    "follow over the air; nothing has to be touched by hand.\n"
    "\n"
    "  new        a key of your own, DIR/NAME.key (default: here), and NAME.pub.json for whoever adds it to "
    "a fleet\n"
    "  add        another key for root or for releases: somebody's PUB.json, or one that is made now\n"
    "  threshold  how many keys of the role must sign\n"
    "  rotate     a new key in place of one that is old or lost\n"
    "  renew      the same root once more, with a new expiry date\n"
    "  sign       adds your signature to what is pending; --merge DIR takes those that others made in a "
    "copy\n"
    "  operator   a key for a person who may order robots and approve releases: DIR/NAME.key (default: "
    "operators), which he\n"
    "             keeps; DIR/operators.json gets his name, and the fleet's targets name it anew\n"
    "\n"
    "  -d, --dir DIR            where the keys are\n"
    "  -k, --key FILE           sign with this key only\n"
    "  -n, --new NAME           a new key, NAME.key and NAME.pub.json\n"
    "      --expires-days N     how long the new root holds (365)\n"
    "      --no-passphrase      keep new keys unencrypted. Else the passphrase is asked for, or read from "
    "the "
    "file that\n"
    "                           MUSTER_PASSPHRASE_FILE names\n"
    "  -K, --keys DIR           operator, revoke: the fleet's offline keys (default: keys)\n"
    "      --json               as JSON\n"
    "      --operators          list, revoke: of DIR/operators.json\n"
    "  KEY                      name or key id, or how it begins\n"
    "\n"
    "examples:\n"
    "  muster keys init --fleet warehouse --online /srv/muster/online.json\n"
    "  muster keys add release bob.pub.json && muster keys threshold release 2\n"
    "  muster keys rotate release && muster push --metadata-only --server https://fleet.example:8444\n"
    "  muster keys operator alice --dir operators\n"
    "  muster keys revoke alice --operators --dir operators\n";

static int init_run(int argc, char **argv, struct err *err)
{
    struct keys_init fleet = {.dir = "keys", .expires_days = STATION_DAYS};
    struct operands operands = {.max = 0};
    const struct option_def options[] = {
        OPT_TEXT("dir", 'd', &fleet.dir),
        OPT_TEXT("fleet", 'f', &fleet.fleet),
        OPT_TEXT("online", 0, &fleet.online),
        OPT_INT("expires-days", 0, &fleet.expires_days, 1, STATION_MAX_DAYS),
        OPT_FLAG("no-passphrase", 0, &fleet.no_passphrase),
    };
    return options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0
               ? -1
               : keys_init_fleet(&fleet, err);
}

/* ---- operators ---- */

static int make_operator(const char *dir, const char *name, struct public_key *out, struct err *err)
{
    cleanup_free char *key_path = mem_printf("%s/%s.key", dir, name),
                      *ring_path = file_join(dir, "operators.json");
    cleanup_signing_key struct signing_key *key = NULL;
    struct keyring ring = {0};
    if (!key_path || !ring_path)
        return err_no_memory(err);
    if (file_make_dirs(dir, 0700, err) < 0 ||
        (file_exists(ring_path) && keyring_load(ring_path, &ring, err) < 0) ||
        signing_key_generate(&key, err) < 0)
        return -1;
    signing_key_public(key, out);
    if (keyring_add(&ring, out, name, err) < 0 || signing_key_save(key, key_path, err) < 0)
        return -1;
    return keyring_save(&ring, ring_path, err);
}

/* Where there is a fleet, its targets name the ring. */
static int tell_fleet(const char *keys, const char *dir, struct err *err)
{
    cleanup_station struct station station = {.lock = -1};
    cleanup_free char *ring = file_join(dir, "operators.json");
    bool published = false;
    if (!station_exists(keys))
        return 0;
    if (!ring)
        return err_no_memory(err);
    if (station_open(keys, &station, err) < 0 || station_set_operators(&station, ring, &published, err) < 0)
        return err_prefix(err, "%s is written, but the fleet's targets do not name it yet", ring);
    return station_say(&station, "targets", published, err);
}

static int operator_run(int argc, char **argv, struct err *err)
{
    const char *dir = "operators", *keys = "keys";
    struct operands operands = {.usage = "NAME", .min = 1, .max = 1};
    const struct option_def options[] = {OPT_TEXT("dir", 'd', &dir), OPT_TEXT("keys", 'K', &keys)};
    struct public_key key;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (!str_is_name(operands.items[0], 47))
        return err_set(err, ERR_USAGE, "%.60s: up to 47 letters, digits, '.', '_' and '-'",
                       operands.items[0]);
    if (make_operator(dir, operands.items[0], &key, err) < 0)
        return -1;
    printf("%s  %s\n%s/%s.key  his alone\n%s/operators.json  give it to the robots\n", operands.items[0],
           key.id, dir, operands.items[0], dir);
    return tell_fleet(keys, dir, err);
}

static int load_ring(const char *dir, char **out_path, struct keyring *ring, struct err *err)
{
    *out_path = file_join(dir, "operators.json");
    if (!*out_path)
        return err_no_memory(err);
    if (!file_exists(*out_path))
        return err_set(err, ERR_NOT_FOUND,
                       "no operators' keyring %s; make one with muster keys operator NAME, or give --dir DIR",
                       *out_path);
    return keyring_load(*out_path, ring, err);
}

static int print_json(const struct keyring *ring, struct err *err)
{
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_array(&out, "keys");
    for (size_t i = 0; i < ring->count; i++) {
        jsonw_object(&out, NULL);
        jsonw_text(&out, "keyid", ring->entries[i].key.id);
        jsonw_text(&out, "name", ring->entries[i].name);
        jsonw_boolean(&out, "revoked", ring->entries[i].revoked);
        jsonw_close(&out);
    }
    jsonw_close(&out);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int list_run(int argc, char **argv, struct err *err)
{
    const char *dir = "keys";
    bool json = false, operators = false;
    struct operands operands = {.max = 0};
    const struct option_def options[] = {OPT_TEXT("dir", 'd', &dir), OPT_FLAG("json", 0, &json),
                                         OPT_FLAG("operators", 0, &operators)};
    cleanup_free char *path = NULL;
    struct keyring ring = {0};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (!operators)
        return keys_list_fleet(dir, json, err);
    if (load_ring(dir, &path, &ring, err) < 0)
        return -1;
    if (json)
        return print_json(&ring, err);
    for (size_t i = 0; i < ring.count; i++)
        printf("%s  %-20s %s\n", ring.entries[i].key.id, ring.entries[i].name,
               ring.entries[i].revoked ? "revoked" : "trusted");
    return 0;
}

static int revoke_run(int argc, char **argv, struct err *err)
{
    const char *dir = "keys", *keys = "keys";
    bool operators = false;
    struct operands operands = {.usage = "KEY", .min = 1, .max = 1};
    const struct option_def options[] = {OPT_TEXT("dir", 'd', &dir), OPT_TEXT("keys", 'K', &keys),
                                         OPT_FLAG("operators", 0, &operators)};
    cleanup_free char *path = NULL;
    struct keyring ring = {0};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (!operators)
        return err_set(err, ERR_USAGE,
                       "an operator's key is revoked with --operators; a fleet's own with muster keys remove "
                       "root|release KEY");
    if (load_ring(dir, &path, &ring, err) < 0)
        return -1;
    if (keyring_revoke(&ring, operands.items[0], err) < 0 || keyring_save(&ring, path, err) < 0)
        return -1;
    printf("%s is revoked in %s\n", operands.items[0], path);
    return tell_fleet(keys, dir, err);
}

static int run(int argc, char **argv, struct err *err)
{
    static const struct verb verbs[] = {
        {.name = "init", .help = help, .run = init_run},
        {.name = "list", .help = help, .run = list_run},
        {.name = "revoke", .help = help, .run = revoke_run},
        {.name = "operator", .help = help, .run = operator_run},
        {.name = "new", .help = help, .run = keys_new_run},
        {.name = "add", .help = help, .run = keys_add_run},
        {.name = "remove", .help = help, .run = keys_remove_run},
        {.name = "threshold", .help = help, .run = keys_threshold_run},
        {.name = "rotate", .help = help, .run = keys_rotate_run},
        {.name = "renew", .help = help, .run = keys_renew_run},
        {.name = "sign", .help = help, .run = keys_sign_run},
        {.name = "publish", .help = help, .run = keys_publish_run},
    };
    return verb_dispatch(verbs, ARRAY_LEN(verbs), "muster keys", argc - 1, argv + 1, err);
}

const struct verb verb_keys = {
    .name = "keys", .summary = "a fleet's offline keys: make, change, list them", .help = help, .run = run};
