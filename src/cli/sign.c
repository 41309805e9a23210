#include "cli/verbs.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/oms.h"
#include "cli/output.h"
#include "cli/station.h"
#include "cli/terms_text.h"
#include "release/image.h"
#include "sys/file.h"

#include <inttypes.h>

static const char help[] =
    "usage: muster sign RELEASE [--keys DIR] [--approvals SPEC] [--floor VERSION] [--key FILE] [--model-key "
    "FILE] "
    "[--json]\n"
    "       muster sign --remove NAME/VERSION [--keys DIR]\n"
    "       muster sign --renew [--expires-days N] [--keys DIR]\n"
    "\n"
    "Releases a model to the fleet of DIR: its name, version, size and digest become part of the fleet's "
    "targets, which "
    "are signed\n"
    "with the offline release keys that lie in DIR. Where more signatures are needed, the targets are "
    "pending until others "
    "have\n"
    "signed: muster keys sign. What was released under a version stays what it is; other bytes need another "
    "version.\n"
    "\n"
    "  -K, --keys DIR         folder of muster keys init (default: keys)\n"
    "  -k, --key FILE         sign with this key only\n"
    "      --approvals SPEC   how many of which operators must approve before a robot installs it: "
    "2:alice,bob,carol; "
    "with :plan\n"
    "                         at the end they approve it together with a rollout's plan\n"
    "      --floor VERSION    a robot that accepts this release never goes below VERSION again\n"
    "      --remove           takes a release out of the targets: robots install it no more\n"
    "      --renew            the same targets once more, with a new expiry date\n"
    "      --expires-days N   how long renewed targets hold (365)\n"
    "      --model-key FILE   also sign the files for other tools (OpenSSF Model Signing; muster oms "
    "--help)\n"
    "      --json             what was signed, as JSON\n"
    "\n"
    "examples:\n"
    "  muster sign detector-2\n"
    "  muster sign detector-3 --approvals 2:alice,bob,carol:plan --floor 2.0.0\n"
    "  muster sign --remove detector/1.9.0\n"
    "  muster sign detector-2 --key /media/usb/release.key\n";

struct sign_flags {
    const char *dir, *key, *model_key, *approvals, *floor, *remove;
    int64_t expires_days;
    bool renew, json;
};

static int load_ring(const struct station *station, struct keyring *out, struct err *err)
{
    cleanup_free char *path = file_join(station->dir, "operators.json");
    if (!path)
        return err_no_memory(err);
    if (keyring_load(path, out, err) == 0)
        return 0;
    return err->code == ERR_NOT_FOUND
               ? err_set(err, ERR_NOT_FOUND,
                         "the fleet has no operators who could approve; muster keys operator NAME makes one")
               : -1;
}

static int read_floor(const char *floor, const struct image *image, struct terms *out, struct err *err)
{
    if (!version_valid(floor) || !str_copy(out->floor, sizeof out->floor, floor))
        return err_set(err, ERR_USAGE, "--floor %.60s: not a version as in 1.4.0", floor);
    if (version_compare(floor, image->release.version) > 0)
        return err_set(err, ERR_USAGE, "--floor %s: above the release's own version %s", floor,
                       image->release.version);
    return 0;
}

static int read_terms(const struct sign_flags *flags, const struct station *station,
                      const struct image *image, struct terms *out, struct err *err)
{
    const struct tuf_metadata *root = repo_root(station->repo);
    cleanup_free struct keyring *ring = mem_zalloc(1, sizeof *ring);
    *out = (struct terms){.kind = TERMS_RELEASE};
    if (!ring)
        return err_no_memory(err);
    if (!root || !root->root.fleet)
        return err_set(err, ERR_CONFLICT,
                       "root is not published yet; muster keys list shows what is missing");
    str_copy(out->fleet, sizeof out->fleet, root->root.fleet);
    if (flags->floor && read_floor(flags->floor, image, out, err) < 0)
        return -1;
    if (!flags->approvals)
        return 0;
    return load_ring(station, ring, err) < 0 ? -1 : terms_read_approvals(flags->approvals, ring, out, err);
}

/* A version that was released once is these bytes for ever. */
static int refuse_other_bytes(const struct tuf_metadata *edit, const char *path, const struct image *image,
                              struct err *err)
{
    const struct tuf_target *there = tuf_metadata_target(edit, path);
    if (!there || memcmp(there->hashes.sha256, image->digest.bytes, sizeof image->digest.bytes) == 0)
        return 0;
    return err_set(err, ERR_EXISTS,
                   "%s is released with other bytes already; give this one another version, or first muster "
                   "sign --remove %s",
                   path, path);
}

static int add_target(const struct sign_flags *flags, struct station *station, const struct image *image,
                      struct tuf_metadata *edit, struct err *err)
{
    struct terms terms;
    char path[132];
    snprintf(path, sizeof path, "%s/%s", image->release.name, image->release.version);
    if (read_terms(flags, station, image, &terms, err) < 0 || refuse_other_bytes(edit, path, image, err) < 0)
        return -1;
    cleanup_free char *custom = terms_format(&terms);
    return custom ? repo_set_target(edit, path, image->size, &image->digest, custom, err)
                  : err_no_memory(err);
}

/* `image` NULL: targets are renewed, or lose a release. */
static int sign_targets(const struct sign_flags *flags, struct station *station, const struct image *image,
                        bool *out_published, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    if (repo_edit_targets(station->repo, "targets", &edit, err) < 0)
        return -1;
    if (image && add_target(flags, station, image, &edit, err) < 0)
        return -1;
    if (flags->remove && repo_remove_target(&edit, flags->remove, err) < 0)
        return err_prefix(err, "--remove");
    if (flags->renew)
        edit.expires_s = station_now_s() + flags->expires_days * 86400;
    if (repo_put_pending(station->repo, "targets", &edit, err) < 0)
        return -1;
    return station_complete(station, "targets", flags->key, out_published, err);
}

static int print_targets(const struct sign_flags *flags, const struct station *station,
                         const struct image *image, bool published, struct err *err)
{
    struct digest_text digest = image ? digest_format(&image->digest) : (struct digest_text){""};
    if (!flags->json && image)
        printf("%s %s  %s\n", image->release.name, image->release.version, digest.text);
    if (!flags->json && image && published)
        printf("released by targets %" PRId64 "; send it: muster push %s\n",
               repo_targets(station->repo)->version, image->dir);
    else if (!flags->json)
        return station_say(station, "targets", published, err);
    if (!flags->json)
        return 0;
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    if (image) {
        jsonw_text(&out, "name", image->release.name);
        jsonw_text(&out, "version", image->release.version);
        jsonw_text(&out, "digest", digest.text);
    }
    jsonw_boolean(&out, "published", published);
    jsonw_i64(&out, "targets_version",
              repo_targets(station->repo) ? repo_targets(station->repo)->version : 0);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int sign_for_fleet(const struct sign_flags *flags, const struct image *image, struct err *err)
{
    cleanup_station struct station station = {.lock = -1};
    bool published = false;
    if (station_open(flags->dir, &station, err) < 0 ||
        sign_targets(flags, &station, image, &published, err) < 0 ||
        print_targets(flags, &station, image, published, err) < 0)
        return -1;
    station_warn(&station);
    return 0;
}

/* ---- the verb ---- */

static int sign_release(const struct sign_flags *flags, const char *dir, struct err *err)
{
    cleanup_image struct image image = {0};
    if (image_open(dir, NULL, &image, err) < 0 || image_check_blobs(&image, err) < 0)
        return -1;
    if (flags->model_key && oms_sign_release(&image, flags->model_key, err) < 0)
        return -1;
    return sign_for_fleet(flags, &image, err);
}

static int run(int argc, char **argv, struct err *err)
{
    struct sign_flags flags = {.dir = "keys", .expires_days = STATION_DAYS};
    struct operands operands = {.usage = "RELEASE", .max = 1};
    const struct option_def options[] = {
        OPT_TEXT("keys", 'K', &flags.dir),
        OPT_TEXT("key", 'k', &flags.key),
        OPT_TEXT("model-key", 0, &flags.model_key),
        OPT_TEXT("approvals", 0, &flags.approvals),
        OPT_TEXT("floor", 0, &flags.floor),
        OPT_TEXT("remove", 0, &flags.remove),
        OPT_FLAG("renew", 0, &flags.renew),
        OPT_INT("expires-days", 0, &flags.expires_days, 1, STATION_MAX_DAYS),
        OPT_FLAG("json", 0, &flags.json),
    };
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    bool other = flags.remove || flags.renew;
    if (other == (operands.count == 1))
        return err_set(err, ERR_USAGE,
                       other ? "--remove and --renew take no RELEASE"
                             : "RELEASE is missing; muster sign --help shows how");
    return other ? sign_for_fleet(&flags, NULL, err) : sign_release(&flags, operands.items[0], err);
}

const struct verb verb_sign = {
    .name = "sign", .summary = "release a model to a fleet, with an offline key", .help = help, .run = run};
