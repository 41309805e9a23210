/* muster grant: which robots may open a sealed release (docs/confidential.md). */
#include "cli/verbs.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/pins.h"
#include "cli/station.h"
#include "cli/target.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/seal/grant.h"
#include "wire/json.h"
#include "wire/sealed.h"

#include <inttypes.h>

static const char help[] =
    "usage: muster grant RELEASE --content-key FILE ROBOT[=PEM]… [--pin ROBOT=sha256:HEX]… [--first-use] "
    "[--keys DIR] [--server URL] …\n"
    "       muster grant RELEASE [--keys DIR] [--json]                        who has it\n"
    "       muster grant RELEASE --remove ROBOT… [--keys DIR]\n"
    "\n"
    "Wraps the content key of a sealed release (muster pack --seal) for the device keys of robots. The list "
    "of them becomes a target of the\n"
    "fleet, signed with the offline release keys; muster push --metadata-only sends it, and robots fetch it "
    "by themselves.\n"
    "\n"
    "A robot's key comes from a certificate or public key in a file (ROBOT=PEM), or from the server. A "
    "server that was taken over would show\n"
    "its own: so what it shows must be issued by the fleet's CA for that robot AND be the key that this "
    "workstation knows, from before\n"
    "(DIR/robots.json) or from you (--pin). On the robot: openssl pkey -in STATE_DIR/device.key -pubout "
    "-outform DER | sha256sum\n"
    "\n"
    "      --content-key FILE  of muster pack --seal\n"
    "      --pin ROBOT=DIGEST  the fingerprint of a robot's key, as read at the robot itself; kept\n"
    "      --first-use         keys that are not known yet are taken from the server and kept. Look at the "
    "fingerprints\n"
    "      --remove            these robots are left out from now on. What they have opened once they know\n"
    "  -K, --keys DIR          folder of muster keys init (default: keys)\n"
    "  -k, --key FILE          sign with this release key only\n" CLIENT_HELP
    "      --json              as JSON\n"
    "\n"
    "examples:\n"
    "  muster grant detector-3 --content-key detector.content r1=r1.pem\n"
    "  muster grant detector-3 --content-key detector.content r1 r2 --pin r2=sha256:5f0c… --server "
    "https://fleet:8444 --ca ca.pem\n"
    "  muster grant detector-3 --remove r2 && muster push --metadata-only\n";

struct grant_flags {
    struct client_flags where;
    const char *keys, *key, *content_key;
    struct option_list pins;
    bool first_use, remove, json;
};

struct work {
    const struct grant_flags *flags;
    struct image image;
    struct station station;
    struct pins pins;
    struct grants grants;
    struct seal_key content_key;
    struct client *client; /* NULL: not needed so far */
    char target[192];      /* muster/grants/NAME/VERSION.json */
    char *path;            /* DIR/grants/NAME/VERSION.json; owned */
};

static void work_fini(struct work *work)
{
    seal_key_wipe(&work->content_key);
    grants_fini(&work->grants);
    pins_close(&work->pins);
    if (work->client)
        client_free(work->client);
    station_close(&work->station);
    image_close(&work->image);
    free(work->path);
}
#define cleanup_work __attribute__((cleanup(work_fini)))

/* ---- the release and what was granted before ---- */

static int read_head(const struct image *image, struct sealed_head *out, struct err *err)
{
    cleanup_free char *path = NULL;
    cleanup_file_map struct file_map map = {0};
    if (!image_is_sealed(image))
        return err_set(err, ERR_REFUSED,
                       "%s is not sealed: every robot can open it; muster pack --seal makes one that is",
                       image->dir);
    if (image_check_blobs(image, err) < 0 || image_sealed_path(image, VARIANT_PARENT, &path, err) < 0 ||
        file_map(path, &map, err) < 0)
        return -1;
    return sealed_parse(map.data, map.size, map.size, out, err);
}

static int begin_grants(struct work *work, const struct sealed_head *head, struct err *err)
{
    const struct tuf_metadata *root = repo_root(work->station.repo);
    if (!root || !root->root.fleet)
        return err_set(err, ERR_CONFLICT,
                       "root is not published yet or names no fleet; muster keys list shows what is missing");
    work->grants = (struct grants){.release = work->image.digest};
    memcpy(work->grants.key_id, head->key_id, sizeof head->key_id);
    return str_copy(work->grants.fleet, sizeof work->grants.fleet, root->root.fleet)
               ? 0
               : err_set(err, ERR_TOO_BIG, "the fleet's name is too long");
}

/* Of this very release; those of other bytes under the same version are begun anew. */
static int load_grants(struct work *work, const struct sealed_head *head, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(GRANTS_MAX_BYTES);
    if (file_read(work->path, &text, err) < 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        *err = (struct err){0};
        return begin_grants(work, head, err);
    }
    if (grants_parse(text.data, text.len, &work->grants, err) < 0)
        return err_prefix(err, "%s", work->path);
    if (digest_equal(&work->grants.release, &work->image.digest) &&
        memcmp(work->grants.key_id, head->key_id, sizeof head->key_id) == 0)
        return 0;
    grants_fini(&work->grants);
    return begin_grants(work, head, err);
}

static int open_work(struct work *work, const char *release, struct err *err)
{
    struct sealed_head head;
    if (target_image(release, &work->image, err) < 0 || read_head(&work->image, &head, err) < 0 ||
        station_open(work->flags->keys, &work->station, err) < 0 ||
        pins_open(work->flags->keys, &work->pins, err) < 0)
        return -1;
    grants_path(work->image.release.name, work->image.release.version, work->target);
    work->path = mem_printf("%s/%s", work->flags->keys, work->target + strlen("muster/"));
    return work->path ? load_grants(work, &head, err) : err_no_memory(err);
}

static int open_content_key(struct work *work, struct err *err)
{
    uint8_t id[32];
    if (!work->flags->content_key)
        return err_set(err, ERR_USAGE, "with which content key is it sealed? give --content-key FILE");
    if (seal_key_load(work->flags->content_key, &work->content_key, err) < 0 ||
        seal_key_id(&work->content_key, id, err) < 0)
        return -1;
    if (memcmp(id, work->grants.key_id, sizeof id) == 0)
        return 0;
    return err_set(err, ERR_REFUSED, "%s is another content key than %s is sealed with",
                   work->flags->content_key, work->image.dir);
}

/* ---- whose key ---- */

static int take_pins(struct work *work, struct err *err)
{
    for (size_t i = 0; i < work->flags->pins.count; i++) {
        const char *text = work->flags->pins.items[i], *equals = strchr(text, '=');
        char robot[64];
        struct digest key;
        snprintf(robot, sizeof robot, "%.*s", equals ? (int)MIN(equals - text, 64) : 0, text);
        if (!equals || !str_is_name(robot, sizeof robot - 1) || !digest_parse(equals + 1, &key))
            return err_set(err, ERR_USAGE, "--pin %.80s: must look like r7=sha256: and 64 hexadecimal digits",
                           text);
        if (pins_set(&work->pins, robot, &key, err) < 0)
            return -1;
    }
    return 0;
}

static int ask_server(struct work *work, const char *robot, struct recipient **out, struct err *err)
{
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER), ca = BUF_INIT(64 << 10);
    cleanup_free char *path = mem_printf("/api/v1/robots/%s", robot);
    const char *ca_path = work->flags->where.ca ? work->flags->where.ca : getenv("MUSTER_CA");
    char pem[4096] = "";
    struct json_reader reader;
    if (!path)
        return err_no_memory(err);
    if (!ca_path)
        return err_set(err, ERR_USAGE, "whose robots? give the fleet's CA: --ca FILE");
    if ((!work->client && client_open(&work->flags->where, &work->client, err) < 0) ||
        client_call(work->client, "GET", path, NULL, &answer, err) < 0 || file_read(ca_path, &ca, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    if (json_has(json_root(&reader), "certificate"))
        json_get_string(json_root(&reader), "certificate", pem, sizeof pem);
    if (json_finish(&reader, err) < 0)
        return -1;
    if (!pem[0])
        return err_set(err, ERR_CONFLICT, "the server has no certificate of %s; has it enrolled?", robot);
    return recipient_from_certificate(pem, strlen(pem), buf_text(&ca), ca.len, robot, out, err);
}

/* The server is not asked to vouch for a key: this workstation knows it, or somebody says so now. */
static int check_pin(struct work *work, const char *robot, const struct digest *key, struct err *err)
{
    const struct pin *pin = pins_find(&work->pins, robot);
    struct digest_text shown = digest_format(key);
    if (pin && digest_equal(&pin->key, key))
        return 0;
    if (pin)
        return err_set(err, ERR_UNTRUSTED,
                       "the server shows another key for %s than is known here; if the robot has a new one, "
                       "read it there and give --pin "
                       "%s=sha256:…",
                       robot, robot);
    if (!work->flags->first_use)
        return err_set(
            err, ERR_UNTRUSTED,
            "%s: nobody here knows its key; compare %s at the robot, then give --pin %s=… or --first-use",
            robot, shown.text, robot);
    return pins_set(&work->pins, robot, key, err);
}

/* ROBOT=PEM: whoever gives the file vouches for it. */
static int from_file(struct work *work, const char *robot, const char *path, struct recipient **out,
                     struct err *err)
{
    cleanup_buf struct buf pem = BUF_INIT(64 << 10);
    struct digest key;
    if (file_read(path, &pem, err) < 0)
        return -1;
    if (recipient_from_pem(buf_text(&pem), pem.len, out, err) < 0)
        return err_prefix(err, "%s", path);
    recipient_digest(*out, &key);
    return pins_set(&work->pins, robot, &key, err);
}

static int grant_one(struct work *work, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    char robot[64];
    struct digest key;
    struct grant grant;
    cleanup_recipient struct recipient *recipient = NULL;
    snprintf(robot, sizeof robot, "%.*s", equals ? (int)MIN(equals - text, 64) : 64, text);
    if (!str_is_name(robot, sizeof robot - 1))
        return err_set(err, ERR_USAGE, "\"%.80s\" is no robot; it wants ROBOT or ROBOT=PEM", text);
    if ((equals ? from_file(work, robot, equals + 1, &recipient, err)
                : ask_server(work, robot, &recipient, err)) < 0)
        return -1;
    recipient_digest(recipient, &key);
    if ((!equals && check_pin(work, robot, &key, err) < 0) ||
        grant_wrap(&work->grants, robot, recipient, &work->content_key, &grant, err) < 0)
        return -1;
    if (!work->flags->json)
        printf("%-20s %s\n", robot, digest_format(&key).text);
    return grants_put(&work->grants, &grant, err);
}

static int remove_one(struct work *work, const char *robot, struct err *err)
{
    if (!grants_find(&work->grants, robot))
        return err_set(err, ERR_NOT_FOUND, "%s has no grant of this release", robot);
    grants_remove(&work->grants, robot);
    return 0;
}

/* ---- the target ---- */

static int write_grants(const struct work *work, struct digest *out_digest, size_t *out_len, struct err *err)
{
    cleanup_free char *text = grants_format(&work->grants), *folder = mem_strdup(work->path);
    if (!text || !folder)
        return err_no_memory(err);
    *strrchr(folder, '/') = '\0';
    *out_len = strlen(text);
    *out_digest = hash_bytes(text, *out_len);
    if (*out_len > GRANTS_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "the grants have %zu bytes, the limit is %d", *out_len,
                       GRANTS_MAX_BYTES);
    return file_make_dirs(folder, 0755, err) < 0 ? -1 : file_replace(work->path, text, *out_len, 0644, err);
}

static int sign_target(struct work *work, bool *out_published, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    struct digest digest;
    size_t len = 0;
    if (write_grants(work, &digest, &len, err) < 0 ||
        repo_edit_targets(work->station.repo, "targets", &edit, err) < 0 ||
        repo_set_target(&edit, work->target, len, &digest, NULL, err) < 0 ||
        repo_put_pending(work->station.repo, "targets", &edit, err) < 0)
        return -1;
    return station_complete(&work->station, "targets", work->flags->key, out_published, err);
}

static int print_list(const struct work *work, struct err *err)
{
    const struct grants *grants = &work->grants;
    if (!work->flags->json) {
        for (size_t i = 0; i < grants->count; i++)
            printf("%-20s %s\n", grants->robots[i].robot, digest_format(&grants->robots[i].recipient).text);
        printf("%zu robots may open %s %s\n", grants->count, work->image.release.name,
               work->image.release.version);
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "name", work->image.release.name);
    jsonw_text(&out, "version", work->image.release.version);
    jsonw_digest(&out, "release", &grants->release);
    jsonw_array(&out, "robots");
    for (size_t i = 0; i < grants->count; i++) {
        jsonw_object(&out, NULL);
        jsonw_text(&out, "robot", grants->robots[i].robot);
        jsonw_digest(&out, "key", &grants->robots[i].recipient);
        jsonw_close(&out);
    }
    jsonw_close(&out);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int change(struct work *work, const struct operands *operands, struct err *err)
{
    bool published = false;
    if ((!work->flags->remove && open_content_key(work, err) < 0) || take_pins(work, err) < 0)
        return -1;
    for (size_t i = 1; i < operands->count; i++)
        if ((work->flags->remove ? remove_one(work, operands->items[i], err)
                                 : grant_one(work, operands->items[i], err)) < 0)
            return -1;
    if (pins_save(&work->pins, err) < 0 || sign_target(work, &published, err) < 0)
        return -1;
    return work->flags->json ? print_list(work, err) : station_say(&work->station, "targets", published, err);
}

static int run(int argc, char **argv, struct err *err)
{
    struct grant_flags flags = {.keys = "keys"};
    struct operands operands = {.usage = "RELEASE", .min = 1, .max = OPERANDS_MAX};
    const struct option_def options[] = {
        CLIENT_OPTIONS(flags.where),          OPT_TEXT("keys", 'K', &flags.keys),
        OPT_TEXT("key", 'k', &flags.key),     OPT_TEXT("content-key", 0, &flags.content_key),
        OPT_LIST("pin", 0, &flags.pins),      OPT_FLAG("first-use", 0, &flags.first_use),
        OPT_FLAG("remove", 0, &flags.remove), OPT_FLAG("json", 0, &flags.json),
    };
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    cleanup_work struct work work = {.flags = &flags, .station = {.lock = -1}};
    if (open_work(&work, operands.items[0], err) < 0)
        return -1;
    return operands.count == 1 ? print_list(&work, err) : change(&work, &operands, err);
}

const struct verb verb_grant = {
    .name = "grant", .summary = "who may open a sealed release", .help = help, .run = run};
