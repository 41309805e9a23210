#include "cli/verbs.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/chain.h"
#include "cli/output.h"
#include "cli/station.h"
#include "cli/target.h"
#include "cli/terms_text.h"
#include "sys/file.h"
#include "trust/rule.h"

#include <sys/utsname.h>

static const char help[] =
    "usage: muster verify RELEASE [--root FILE] [--metadata DIR] [--machine NAME|any] [--robot-store] "
    "[--json]\n"
    "\n"
    "The very checks that server and robot make: every byte against its digest, a chain of offline "
    "signatures from the root "
    "that\n"
    "you trust to exactly this release, a machine it may run on, and a model whose tensors are those the "
    "release names. Exit "
    "status\n"
    "3 if any of them fails.\n"
    "\n"
    "  -r, --root FILE     the root that is trusted (default: keys/root.json); newer ones are followed from "
    "it\n"
    "      --metadata DIR  where the signed metadata lie (default: keys/metadata): a workstation's, or a "
    "server's DIR/trust\n"
    "  -m, --machine NAME  as uname -m prints it (default: this machine); any: leave that check out\n"
    "      --robot-store   what is made for other machines need not be there: robots do not fetch it\n"
    "      --json          the outcome as JSON\n"
    "\n"
    "RELEASE is a folder, or FOLDER@sha256:… where it holds several releases, as a robot's store does.\n"
    "\n"
    "examples:\n"
    "  muster verify detector-2\n"
    "  muster verify detector-2 --root /etc/muster/root.json --metadata /srv/muster/trust --machine "
    "aarch64\n";

/* ---- what the offline keys say ---- */

struct word { /* of the fleet about this release */
    struct terms terms;
    int64_t targets_version;
};

static int check_target(const struct image *image, const struct tuf_target *target, const char *path,
                        struct word *out, struct err *err)
{
    if (!target)
        return trust_refuse(err, TRUST_TARGETS_UNKNOWN, "targets do not name %s; muster sign releases it",
                            path);
    if (!target->hashes.has_sha256 || target->length != image->size ||
        memcmp(target->hashes.sha256, image->digest.bytes, sizeof image->digest.bytes) != 0)
        return trust_refuse(err, TRUST_TARGET_HASH, "targets name other bytes for %s", path);
    return terms_parse(target->custom, &out->terms, err);
}

static int check_fleet(const struct word *word, const struct tuf_root *root, struct err *err)
{
    if (word->terms.kind != TERMS_RELEASE || !str_eq(word->terms.fleet, root->fleet))
        return trust_refuse(err, TRUST_RELEASE_FLEET, "released to fleet %s, root is of %s",
                            word->terms.fleet, root->fleet ? root->fleet : "none");
    return 0;
}

/* A workstation's metadata: root and targets only. */
static int verify_station(const char *root_path, struct repo *repo, const struct image *image,
                          const char *path, struct word *out, struct err *err)
{
    cleanup_buf struct buf anchor = BUF_INIT(512000);
    if (chain_read_root(root_path, &anchor, err) < 0 ||
        repo_verify(repo, buf_text(&anchor), anchor.len, station_now_s(), err) < 0)
        return -1;
    out->targets_version = repo_targets(repo)->version;
    if (check_target(image, tuf_metadata_target(repo_targets(repo), path), path, out, err) < 0)
        return -1;
    return check_fleet(out, &repo_root(repo)->root, err);
}

/* A server's: the whole way of a robot. */
static int verify_server(const char *root_path, struct repo *repo, const struct image *image,
                         const char *path, struct word *out, struct err *err)
{
    cleanup_chain struct chain chain = {0};
    const struct chain_source source = chain_of_repo(repo);
    if (chain_seek(root_path, &source, path, &chain, err) < 0 ||
        check_target(image, chain_target(&chain), path, out, err) < 0)
        return -1;
    out->targets_version = chain_role(&chain, "targets")->version;
    return check_fleet(out, &chain_role(&chain, "root")->root, err);
}

static int verify_chain(const char *root_path, const char *metadata, const struct image *image,
                        struct word *out, struct err *err)
{
    cleanup_repo struct repo *repo = NULL;
    cleanup_free char *timestamp = file_join(metadata, "timestamp.json");
    char path[132];
    snprintf(path, sizeof path, "%s/%s", image->release.name, image->release.version);
    if (!timestamp)
        return err_no_memory(err);
    if (repo_open(metadata, &repo, err) < 0)
        return -1;
    return file_exists(timestamp) ? verify_server(root_path, repo, image, path, out, err)
                                  : verify_station(root_path, repo, image, path, out, err);
}

/* ---- the verb ---- */

struct verify_flags {
    const char *release, *root, *metadata, *machine;
    bool json, robot_store;
};

static int print(const struct image *image, const struct word *word, bool json, struct err *err)
{
    struct digest_text digest = digest_format(&image->digest);
    if (!json) {
        printf("%s %s  %s\n", image->release.name, image->release.version, digest.text);
        terms_print(&word->terms);
        puts("verified");
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_boolean(&out, "verified", true);
    jsonw_text(&out, "name", image->release.name);
    jsonw_text(&out, "version", image->release.version);
    jsonw_text(&out, "digest", digest.text);
    jsonw_i64(&out, "targets_version", word->targets_version);
    terms_write(&out, "terms", &word->terms);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int verify(const struct verify_flags *flags, struct image *image, struct err *err)
{
    struct word word = {0};
    const struct image_use use = {.machine = flags->machine ? flags->machine : image_this_machine()};
    image->use = flags->robot_store ? &use : NULL;
    if (verify_chain(flags->root, flags->metadata, image, &word, err) < 0 ||
        image_verify(image, flags->machine, err) < 0)
        return err_prefix(err, "release %s", flags->release);
    return print(image, &word, flags->json, err);
}

static int run(int argc, char **argv, struct err *err)
{
    struct verify_flags flags = {.root = "keys/root.json", .metadata = "keys/metadata"};
    struct operands operands = {.usage = "RELEASE", .min = 1, .max = 1};
    const struct option_def options[] = {
        OPT_TEXT("root", 'r', &flags.root),       OPT_TEXT("metadata", 0, &flags.metadata),
        OPT_TEXT("machine", 'm', &flags.machine), OPT_FLAG("robot-store", 0, &flags.robot_store),
        OPT_FLAG("json", 0, &flags.json),
    };
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    flags.release = operands.items[0];
    struct utsname here;
    uname(&here);
    const char *machine = flags.machine ? flags.machine : here.machine;
    flags.machine = str_eq(machine, "any") ? NULL : machine;
    cleanup_image struct image image = {0};
    if (target_image(flags.release, &image, err) < 0)
        return -1;
    return verify(&flags, &image, err);
}

const struct verb verb_verify = {.name = "verify",
                                 .summary = "check every byte, signature and tensor of a release",
                                 .help = help,
                                 .run = run};
