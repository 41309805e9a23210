#include "cli/verbs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/output.h"
#include "sys/file.h"
#include "trust/keyring.h"

static const char help[] =
    "usage: muster keys init [--dir DIR] [--name NAME]\n"
    "       muster keys list [--dir DIR] [--json]\n"
    "       muster keys revoke KEY [--dir DIR]\n"
    "       muster keys operator NAME [--dir DIR]\n"
    "\n"
    "Release keys (Ed25519). DIR (default: keys) holds release.key, which signs and stays offline; "
    "release.pub; and\n"
    "keyring.json, the keys that robots and servers trust. Give them keyring.json again after a change.\n"
    "\n"
    "operator makes a key for a person who may order robots: DIR/NAME.key (default: operators), which he "
    "keeps, and\n"
    "adds it to DIR/operators.json, which the robots get (muster-agent --operators). list and revoke act on "
    "that with\n"
    "--operators.\n"
    "\n"
    "  -d, --dir DIR    where the keys are\n"
    "  -n, --name NAME  what people call the key (default: release-YEAR)\n"
    "      --json       the keyring as JSON\n"
    "      --operators  list, revoke: of operators.json\n"
    "  KEY              name or key id\n"
    "\n"
    "examples:\n"
    "  muster keys init\n"
    "  muster keys list --json\n"
    "  muster keys revoke release-2026\n"
    "  muster keys operator alice --dir operators\n"
    "  muster keys revoke alice --operators --dir operators\n";

struct key_paths {
    char *key, *pub, *ring; /* owned */
};

static int paths_init(struct key_paths *paths, const char *dir, struct err *err)
{
    paths->key = file_join(dir, "release.key");
    paths->pub = file_join(dir, "release.pub");
    paths->ring = file_join(dir, "keyring.json");
    return paths->key && paths->pub && paths->ring ? 0 : err_no_memory(err);
}

static void paths_fini(struct key_paths *paths)
{
    free(paths->key);
    free(paths->pub);
    free(paths->ring);
}
#define cleanup_paths __attribute__((cleanup(paths_fini)))

static int refuse_existing(const struct key_paths *paths, struct err *err)
{
    const char *const all[] = {paths->key, paths->pub, paths->ring};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (file_exists(all[i]))
            return err_set(err, ERR_EXISTS, "%s exists; keys are never overwritten, choose another --dir",
                           all[i]);
    return 0;
}

static int make_keys(const char *dir, const char *name, struct public_key *out, struct err *err)
{
    cleanup_paths struct key_paths paths = {0};
    cleanup_signing_key struct signing_key *key = NULL;
    struct keyring ring = {.threshold = 1};
    if (paths_init(&paths, dir, err) < 0 || refuse_existing(&paths, err) < 0 ||
        file_make_dirs(dir, 0700, err) < 0 || signing_key_generate(&key, err) < 0)
        return -1;
    signing_key_public(key, out);
    if (keyring_add(&ring, out, name, err) < 0 || signing_key_save(key, paths.key, err) < 0 ||
        public_key_save(out, paths.pub, err) < 0)
        return -1;
    return keyring_save(&ring, paths.ring, err);
}

static int init_run(int argc, char **argv, struct err *err)
{
    char now[CLOCK_RFC3339_SIZE], default_name[32];
    clock_rfc3339(clock_wall_ms(), now);
    snprintf(default_name, sizeof default_name, "release-%.4s", now);
    const char *dir = "keys", *name = default_name;
    struct operands operands = {.max = 0};
    const struct option_def options[] = {OPT_TEXT("dir", 'd', &dir), OPT_TEXT("name", 'n', &name)};
    struct public_key key;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (!str_is_name(name, 63))
        return err_set(err, ERR_USAGE, "--name %.60s: letters, digits, '.', '_' and '-' only", name);
    if (make_keys(dir, name, &key, err) < 0)
        return -1;
    printf("%s  %s\n%s/release.key  keep it offline\n%s/keyring.json  give it to the server and the robots\n",
           name, key.id, dir, dir);
    return 0;
}

/* ---- operators ---- */

static int make_operator(const char *dir, const char *name, struct public_key *out, struct err *err)
{
    cleanup_free char *key_path = mem_printf("%s/%s.key", dir, name),
                      *ring_path = file_join(dir, "operators.json");
    cleanup_signing_key struct signing_key *key = NULL;
    struct keyring ring = {.threshold = 1};
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

static int operator_run(int argc, char **argv, struct err *err)
{
    const char *dir = "operators";
    struct operands operands = {.usage = "NAME", .min = 1, .max = 1};
    const struct option_def options[] = {OPT_TEXT("dir", 'd', &dir)};
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
    return 0;
}

static int load_ring(const char *dir, bool operators, char **out_path, struct keyring *ring, struct err *err)
{
    *out_path = file_join(dir, operators ? "operators.json" : "keyring.json");
    if (!*out_path)
        return err_no_memory(err);
    if (!file_exists(*out_path))
        return err_set(err, ERR_NOT_FOUND, "no keyring %s; make one with muster keys init, or give --dir DIR",
                       *out_path);
    return keyring_load(*out_path, ring, err);
}

static int print_json(const struct keyring *ring, struct err *err)
{
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_i64(&out, "threshold", ring->threshold);
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
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0 ||
        load_ring(dir, operators, &path, &ring, err) < 0)
        return -1;
    if (json)
        return print_json(&ring, err);
    for (size_t i = 0; i < ring.count; i++)
        printf("%s  %-20s %s\n", ring.entries[i].key.id, ring.entries[i].name,
               ring.entries[i].revoked ? "revoked" : "trusted");
    printf("%d signature%s needed\n", ring.threshold, ring.threshold == 1 ? "" : "s");
    return 0;
}

static int revoke_run(int argc, char **argv, struct err *err)
{
    const char *dir = "keys";
    bool operators = false;
    struct operands operands = {.usage = "KEY", .min = 1, .max = 1};
    const struct option_def options[] = {OPT_TEXT("dir", 'd', &dir), OPT_FLAG("operators", 0, &operators)};
    cleanup_free char *path = NULL;
    struct keyring ring = {0};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0 ||
        load_ring(dir, operators, &path, &ring, err) < 0)
        return -1;
    if (keyring_revoke(&ring, operands.items[0], err) < 0 || keyring_save(&ring, path, err) < 0)
        return -1;
    printf("%s is revoked in %s; give it to the server and the robots\n", operands.items[0], path);
    return 0;
}

static int run(int argc, char **argv, struct err *err)
{
    static const struct verb verbs[] = {
        {.name = "init", .help = help, .run = init_run},
        {.name = "list", .help = help, .run = list_run},
        {.name = "revoke", .help = help, .run = revoke_run},
        {.name = "operator", .help = help, .run = operator_run},
    };
    return verb_dispatch(verbs, ARRAY_LEN(verbs), "muster keys", argc - 1, argv + 1, err);
}

const struct verb verb_keys = {
    .name = "keys", .summary = "make, list and revoke release keys", .help = help, .run = run};
