#include "cli/station.h"

#include "base/clock.h"
#include "base/str.h"
#include "cli/key_file.h"
#include "cli/passphrase.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/keyring.h"
#include "wire/terms.h"

#include <inttypes.h>

enum { RING_MAX_BYTES = 64 << 10, DAY_S = 86400 };

bool station_exists(const char *dir)
{
    cleanup_free char *metadata = file_join(dir, "metadata");
    return metadata && file_exists(metadata);
}

int64_t station_now_s(void)
{
    return clock_wall_ms() / 1000;
}

const char *station_role(const char *word)
{
    static const char *const roles[] = {"root", "targets", "timestamp", "snapshot", "director", "audit"};
    if (str_eq(word, "release"))
        return "targets";
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (str_eq(word, roles[i]))
            return roles[i];
    return NULL;
}

void station_close(struct station *station)
{
    if (station->repo)
        repo_free(station->repo);
    passphrase_free(station->passphrase);
    mem_cleanup_close(&station->lock);
    free(station->dir);
    *station = (struct station){.lock = -1};
}

static int open_parts(struct station *station, struct err *err)
{
    cleanup_free char *metadata = file_join(station->dir, "metadata"),
                      *lock = file_join(station->dir, "metadata/.lock");
    if (!metadata || !lock)
        return err_no_memory(err);
    if (!file_exists(metadata))
        return err_set(err, ERR_NOT_FOUND,
                       "no metadata %s; make it with muster keys init --fleet NAME --online online.json",
                       metadata);
    return file_lock(lock, &station->lock, err) < 0 ? -1 : repo_open(metadata, &station->repo, err);
}

int station_open(const char *dir, struct station *out, struct err *err)
{
    *out = (struct station){.dir = mem_strdup(dir), .lock = -1};
    if (out->dir && open_parts(out, err) == 0)
        return 0;
    int result = out->dir ? -1 : err_no_memory(err);
    station_close(out);
    return result;
}

/* ---- signing ---- */

static int is_complete(const struct station *station, const char *role, bool *out, struct err *err)
{
    struct repo_signatures count;
    if (repo_count_signatures(station->repo, role, &count, err) < 0)
        return -1;
    *out = count.need > 0 && count.have >= count.need && count.before_have >= count.before_need;
    return 0;
}

static int sign_with(struct station *station, const char *role, const char *key_path, struct err *err)
{
    cleanup_tuf_signer struct tuf_signer *signer = NULL;
    if (key_file_load(key_path, &station->passphrase, &signer, err) < 0)
        return -1;
    if (repo_sign_pending(station->repo, role, signer, err) < 0)
        return err_prefix(err, "%s", key_path);
    return 0;
}

struct walk {
    struct station *station;
    const char *role;
    struct err *err;
};

/* NAME.pub.json says whether it is worth asking for the passphrase of NAME.key. */
static int sign_if_wanted(const char *name, void *arg)
{
    struct walk *walk = arg;
    struct station *station = walk->station;
    bool complete = false, wanted = false;
    if (!str_ends(name, KEY_FILE_PUBLIC))
        return 0;
    cleanup_free char *public_path = file_join(station->dir, name);
    cleanup_free char *key_path =
        mem_printf("%s/%.*s.key", station->dir, (int)(strlen(name) - strlen(KEY_FILE_PUBLIC)), name);
    cleanup_key_file struct tuf_key key = {0};
    if (!public_path || !key_path)
        return err_no_memory(walk->err);
    if (!file_exists(key_path))
        return 0;
    if (is_complete(station, walk->role, &complete, walk->err) < 0)
        return -1;
    if (complete)
        return 1;
    if (key_file_read(public_path, &key, walk->err) < 0 ||
        repo_wants(station->repo, walk->role, &key, &wanted, walk->err) < 0)
        return -1;
    return wanted ? sign_with(station, walk->role, key_path, walk->err) : 0;
}

static int sign_with_all(struct station *station, const char *role, struct err *err)
{
    struct err inside = {0}, outside = {0};
    struct walk walk = {.station = station, .role = role, .err = &inside};
    if (file_list(station->dir, sign_if_wanted, &walk, &outside) < 0) {
        *err = outside;
        return -1;
    }
    if (inside.code == ERR_NONE)
        return 0;
    *err = inside;
    return -1;
}

static int write_root(const struct station *station, struct err *err)
{
    cleanup_buf struct buf root = BUF_INIT(1 << 20);
    cleanup_free char *path = file_join(station->dir, "root.json");
    if (!path)
        return err_no_memory(err);
    if (repo_read(station->repo, "root.json", &root, err) < 0)
        return -1;
    return file_replace(path, buf_text(&root), root.len, 0644, err);
}

int station_publish(struct station *station, const char *role, bool *out_published, struct err *err)
{
    *out_published = false;
    if (repo_publish(station->repo, role, err) < 0)
        return -1;
    *out_published = true;
    return str_eq(role, "root") ? write_root(station, err) : 0;
}

int station_complete(struct station *station, const char *role, const char *key_file, bool *out_published,
                     struct err *err)
{
    bool complete = false;
    *out_published = false;
    if (key_file ? sign_with(station, role, key_file, err) < 0 : sign_with_all(station, role, err) < 0)
        return -1;
    if (is_complete(station, role, &complete, err) < 0)
        return -1;
    return complete ? station_publish(station, role, out_published, err) : 0;
}

static int say_pending(const struct station *station, const char *role, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0};
    struct repo_signatures count;
    if (repo_pending(station->repo, role, &pending, err) < 0 ||
        repo_count_signatures(station->repo, role, &count, err) < 0)
        return -1;
    printf("%s %" PRId64 " is pending: %" PRId64 " of %" PRId64 " signatures", role, pending.version,
           count.have, count.need);
    if (count.before_need > 0)
        printf(", %" PRId64 " of %" PRId64 " of the keys before", count.before_have, count.before_need);
    printf("\nwhoever holds another key takes %s with him and signs: muster keys sign\n", station->dir);
    return 0;
}

int station_say(const struct station *station, const char *role, bool published, struct err *err)
{
    const struct tuf_metadata *metadata =
        str_eq(role, "root") ? repo_root(station->repo) : repo_targets(station->repo);
    if (!published || !metadata)
        return say_pending(station, role, err);
    printf("%s %" PRId64 " is signed; send it: muster push --metadata-only\n", role, metadata->version);
    return 0;
}

/* Targets whose signers are not their signers any more are signed again, as a new version. */
static int renew_targets(struct station *station, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    bool holds = true, published = false;
    if (!repo_targets(station->repo))
        return 0;
    if (repo_holds(station->repo, "targets", &holds, err) < 0)
        return -1;
    if (holds)
        return 0;
    if (repo_edit_targets(station->repo, "targets", &edit, err) < 0 ||
        repo_put_pending(station->repo, "targets", &edit, err) < 0 ||
        station_complete(station, "targets", NULL, &published, err) < 0)
        return -1;
    return station_say(station, "targets", published, err);
}

int station_end(struct station *station, const char *role, bool published, struct err *err)
{
    if (station_say(station, role, published, err) < 0)
        return -1;
    return published && str_eq(role, "root") ? renew_targets(station, err) : 0;
}

/* ---- operators ---- */

static int put_operators(struct station *station, const struct buf *ring, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    const struct tuf_metadata *root = repo_root(station->repo);
    struct terms terms = {.kind = TERMS_OPERATORS};
    struct digest digest = hash_bytes(buf_text(ring), ring->len);
    if (!root || !root->root.fleet)
        return err_set(err, ERR_CONFLICT,
                       "root is not published yet or names no fleet; muster keys list shows what is missing");
    str_copy(terms.fleet, sizeof terms.fleet, root->root.fleet);
    cleanup_free char *custom = terms_format(&terms);
    if (!custom)
        return err_no_memory(err);
    if (repo_edit_targets(station->repo, "targets", &edit, err) < 0 ||
        repo_set_target(&edit, TERMS_OPERATORS_PATH, ring->len, &digest, custom, err) < 0)
        return -1;
    return repo_put_pending(station->repo, "targets", &edit, err);
}

int station_set_operators(struct station *station, const char *ring_path, bool *out_published,
                          struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(RING_MAX_BYTES);
    struct keyring ring;
    cleanup_free char *copy = file_join(station->dir, "operators.json");
    if (!copy)
        return err_no_memory(err);
    if (file_read(ring_path, &text, err) < 0 || keyring_parse(buf_text(&text), text.len, &ring, err) < 0)
        return -1;
    if (put_operators(station, &text, err) < 0 ||
        file_replace(copy, buf_text(&text), text.len, 0644, err) < 0)
        return -1;
    return station_complete(station, "targets", NULL, out_published, err);
}

/* ---- expiry ---- */

static void warn(const struct tuf_metadata *metadata, const char *remedy)
{
    if (!metadata)
        return;
    int64_t left_s = metadata->expires_s - station_now_s();
    const char *role = tuf_kind_name(metadata->kind);
    if (left_s <= 0)
        fprintf(stderr, "warning: %s has expired, robots install nothing; %s\n", role, remedy);
    else if (left_s < (int64_t)STATION_WARN_DAYS * DAY_S)
        fprintf(stderr, "warning: %s expires in %d days; %s\n", role, (int)(left_s / DAY_S), remedy);
}

void station_warn(const struct station *station)
{
    warn(repo_root(station->repo), "muster keys renew");
    warn(repo_targets(station->repo), "muster sign --renew");
}
