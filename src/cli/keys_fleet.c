/* muster keys init, muster keys list: a fleet's offline keys and what they have signed. */
#include "cli/keys.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/key_file.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "cli/station.h"
#include "sys/file.h"
#include "trust/repo/online.h"
#include "wire/instant.h"

#include <inttypes.h>
#include <sys/random.h>

enum { DAY_S = 86400 };

/* ---- init ---- */

/* Two fleets that people call the same are still two: what is released to the one is not released to the other. */
static int name_fleet(const char *name, char out[80], struct err *err)
{
    uint32_t number = 0;
    if (!str_is_name(name, 63))
        return err_set(err, ERR_USAGE, "--fleet %.60s: up to 63 letters, digits, '.', '_' and '-'", name);
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return err_errno(err, "no random number");
    snprintf(out, 80, "%s-%08" PRIx32, name, number);
    return 0;
}

static int refuse_existing(const char *dir, struct err *err)
{
    static const char *const names[] = {"root.key", "release.key", "root.json"};
    if (station_exists(dir))
        return err_set(err, ERR_EXISTS, "%s/metadata exists; a fleet is founded once, choose another --dir",
                       dir);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_free char *path = file_join(dir, names[i]);
        if (path && file_exists(path))
            return err_set(err, ERR_EXISTS, "%s exists; keys are never overwritten, choose another --dir",
                           path);
    }
    return 0;
}

struct founding {
    struct tuf_signer *root, *release;
    struct online_public online;
};

static void founding_fini(struct founding *founding)
{
    if (founding->root)
        tuf_signer_free(founding->root);
    if (founding->release)
        tuf_signer_free(founding->release);
    online_public_fini(&founding->online);
}
#define cleanup_founding __attribute__((cleanup(founding_fini)))

static int make_keys(const struct keys_init *flags, struct founding *founding, struct err *err)
{
    cleanup_passphrase char *passphrase = NULL;
    if (!flags->no_passphrase && passphrase_choose(&passphrase, err) < 0)
        return -1;
    if (key_file_make(flags->dir, "root", passphrase, &founding->root, err) < 0)
        return -1;
    return key_file_make(flags->dir, "release", passphrase, &founding->release, err);
}

/* Metadata, signed with the keys that are at hand: nobody is asked for the passphrase that he has just chosen. */
static int found(const struct keys_init *flags, const struct founding *founding, const char *fleet,
                 struct err *err)
{
    const struct tuf_key *root = tuf_signer_public(founding->root),
                         *release = tuf_signer_public(founding->release);
    const struct tuf_key *online[ONLINE_ROLES];
    for (int i = 0; i < ONLINE_ROLES; i++)
        online[i] = &founding->online.keys[i];
    int64_t expires_s = station_now_s() + flags->expires_days * DAY_S;
    const struct repo_plan plan = {.fleet = fleet,
                                   .root = {&root, 1, 1},
                                   .targets = {&release, 1, 1},
                                   .timestamp = {&online[ONLINE_TIMESTAMP], 1, 1},
                                   .snapshot = {&online[ONLINE_SNAPSHOT], 1, 1},
                                   .director = {&online[ONLINE_DIRECTOR], 1, 1},
                                   .audit = {&online[ONLINE_AUDIT], 1, 1},
                                   .root_expires_s = expires_s,
                                   .targets_expires_s = expires_s};
    cleanup_free char *metadata = file_join(flags->dir, "metadata");
    cleanup_station struct station station = {.lock = -1};
    bool published = false;
    if (!metadata)
        return err_no_memory(err);
    if (repo_init(metadata, &plan, err) < 0 || station_open(flags->dir, &station, err) < 0 ||
        repo_sign_pending(station.repo, "root", founding->root, err) < 0 ||
        station_complete(&station, "root", NULL, &published, err) < 0 ||
        repo_sign_pending(station.repo, "targets", founding->release, err) < 0)
        return -1;
    return station_complete(&station, "targets", NULL, &published, err);
}

int keys_init_fleet(const struct keys_init *flags, struct err *err)
{
    cleanup_founding struct founding founding = {0};
    char fleet[80];
    if (!flags->fleet || !flags->online)
        return err_set(
            err, ERR_USAGE,
            "--fleet NAME and --online online.json belong together; musterd init makes online.json");
    if (name_fleet(flags->fleet, fleet, err) < 0 || refuse_existing(flags->dir, err) < 0 ||
        online_public_load(flags->online, &founding.online, err) < 0 ||
        make_keys(flags, &founding, err) < 0 || found(flags, &founding, fleet, err) < 0)
        return -1;
    printf("fleet %s\n"
           "%s/root.key     says whom to believe; keep it offline, apart from the others\n"
           "%s/release.key  releases models; keep it offline\n"
           "%s/root.json    give it to the server and the robots\n",
           fleet, flags->dir, flags->dir, flags->dir);
    return 0;
}

/* ---- list ---- */

struct name_search {
    const char *dir, *keyid;
    char name[64];
    bool here;
};

static int match_name(const char *file, void *arg)
{
    struct name_search *search = arg;
    struct err ignored = {0};
    if (!str_ends(file, KEY_FILE_PUBLIC))
        return 0;
    cleanup_free char *path = file_join(search->dir, file);
    cleanup_key_file struct tuf_key key = {0};
    if (!path || key_file_read(path, &key, &ignored) < 0 || !str_eq(key.id, search->keyid))
        return 0;
    snprintf(search->name, sizeof search->name, "%.*s", (int)(strlen(file) - strlen(KEY_FILE_PUBLIC)), file);
    cleanup_free char *private_path = mem_printf("%s/%s.key", search->dir, search->name);
    search->here = private_path && file_exists(private_path);
    return 1;
}

/* What the key is called here; "" for one that is not. */
static struct name_search name_of(const char *dir, const char *keyid)
{
    struct name_search search = {.dir = dir, .keyid = keyid};
    struct err ignored = {0};
    if (file_list(dir, match_name, &search, &ignored) < 0)
        search.name[0] = 0;
    return search;
}

static const char *const roles[] = {"root", "targets", "timestamp", "snapshot", "director", "audit"};
static const char *const signed_here[] = {"root", "targets"};

static void json_metadata(struct json_writer *w, const struct tuf_metadata *metadata)
{
    char expires[INSTANT_SIZE];
    if (!metadata)
        return;
    instant_format(metadata->expires_s, expires);
    jsonw_object(w, tuf_kind_name(metadata->kind));
    jsonw_i64(w, "version", metadata->version);
    jsonw_text(w, "expires", expires);
    jsonw_i64(w, "expires_in_s", metadata->expires_s - station_now_s());
    jsonw_close(w);
}

static void json_role(struct json_writer *w, const struct station *station, struct tuf_metadata *root,
                      const char *role)
{
    const struct tuf_keyset *set = repo_keyset(root, role);
    jsonw_object(w, NULL);
    jsonw_text(w, "role", role);
    jsonw_i64(w, "threshold", set->threshold);
    jsonw_array(w, "keys");
    for (size_t i = 0; i < set->count; i++) {
        struct name_search found = name_of(station->dir, set->keyids[i]);
        jsonw_object(w, NULL);
        jsonw_text(w, "keyid", set->keyids[i]);
        jsonw_text(w, "name", found.name);
        jsonw_boolean(w, "here", found.here);
        jsonw_close(w);
    }
    jsonw_close(w);
    jsonw_close(w);
}

static int json_pending(struct json_writer *w, const struct station *station, const char *role,
                        struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0};
    struct repo_signatures count;
    if (repo_pending(station->repo, role, &pending, err) < 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        *err = (struct err){0};
        return 0;
    }
    if (repo_count_signatures(station->repo, role, &count, err) < 0)
        return -1;
    jsonw_object(w, NULL);
    jsonw_text(w, "role", role);
    jsonw_i64(w, "version", pending.version);
    jsonw_i64(w, "signatures", count.have);
    jsonw_i64(w, "needed", count.need);
    jsonw_i64(w, "signatures_before", count.before_have);
    jsonw_i64(w, "needed_before", count.before_need);
    jsonw_close(w);
    return 0;
}

/* The root that the lists speak of: published, or the first one while it is pending. */
static int show_root(const struct station *station, struct tuf_metadata *out, struct err *err)
{
    if (!repo_root(station->repo))
        return repo_pending(station->repo, "root", out, err);
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    return repo_read(station->repo, "root.json", &bytes, err) < 0
               ? -1
               : tuf_metadata_parse(buf_text(&bytes), bytes.len, out, err);
}

static int list_json(const struct station *station, struct tuf_metadata *root, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init_indented(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, "fleet", root->root.fleet ? root->root.fleet : "");
    json_metadata(&w, repo_root(station->repo));
    json_metadata(&w, repo_targets(station->repo));
    jsonw_array(&w, "roles");
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        json_role(&w, station, root, roles[i]);
    jsonw_close(&w);
    jsonw_array(&w, "pending");
    for (size_t i = 0; i < ARRAY_LEN(signed_here); i++)
        if (json_pending(&w, station, signed_here[i], err) < 0)
            return -1;
    jsonw_close(&w);
    jsonw_close(&w);
    return output_print(&w, err);
}

static void print_metadata(const struct tuf_metadata *metadata)
{
    char expires[INSTANT_SIZE];
    if (!metadata)
        return;
    instant_format(metadata->expires_s, expires);
    int64_t left_s = metadata->expires_s - station_now_s();
    printf("%-9s version %" PRId64 ", %s %.10s", tuf_kind_name(metadata->kind), metadata->version,
           left_s > 0 ? "expires" : "EXPIRED", expires);
    if (left_s > 0)
        printf(" (in %" PRId64 " days)", left_s / DAY_S);
    puts("");
}

static void print_role(const struct station *station, struct tuf_metadata *root, const char *role)
{
    const struct tuf_keyset *set = repo_keyset(root, role);
    printf("\n%-9s %" PRId64 " of %zu must sign\n", role, set->threshold, set->count);
    for (size_t i = 0; i < set->count; i++) {
        struct name_search found = name_of(station->dir, set->keyids[i]);
        printf("  %.16s…  %s%s\n", set->keyids[i], found.name, found.here ? ", private key here" : "");
    }
}

static int print_pending(const struct station *station, const char *role, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0};
    if (repo_pending(station->repo, role, &pending, err) == 0)
        return puts("") < 0 ? -1 : station_say(station, role, false, err);
    if (err->code != ERR_NOT_FOUND)
        return -1;
    *err = (struct err){0};
    return 0;
}

int keys_list_fleet(const char *dir, bool json, struct err *err)
{
    cleanup_station struct station station = {.lock = -1};
    cleanup_tuf_metadata struct tuf_metadata root = {0};
    if (station_open(dir, &station, err) < 0 || show_root(&station, &root, err) < 0)
        return -1;
    if (json)
        return list_json(&station, &root, err);
    printf("fleet     %s\n", root.root.fleet ? root.root.fleet : "(none)");
    print_metadata(repo_root(station.repo));
    print_metadata(repo_targets(station.repo));
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        print_role(&station, &root, roles[i]);
    for (size_t i = 0; i < ARRAY_LEN(signed_here); i++)
        if (print_pending(&station, signed_here[i], err) < 0)
            return -1;
    station_warn(&station);
    return 0;
}
