#include "cli/push.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "sys/file.h"
#include "wire/json.h"

#include <inttypes.h>

static const char help[] =
    "usage: muster push RELEASE [--keys DIR] [--server URL] [--token-file FILE] [--ca FILE] [--json]\n"
    "       muster push --metadata-only [--keys DIR] …\n"
    "\n"
    "Sends a signed release to the fleet server, which checks every byte and the signatures: the files, then "
    "what the "
    "offline keys\n"
    "have signed (root, targets, the operators' keyring). What the server has already is not sent again, so "
    "an interrupted "
    "push\n"
    "goes on where it was.\n"
    "\n"
    "  -K, --keys DIR         folder of muster keys init (default: keys)\n"
    "      --metadata-only    after a change of keys, operators or targets, without a release\n" CLIENT_HELP
    "      --json             what was sent, as JSON\n"
    "\n"
    "examples:\n"
    "  muster push detector-2 --server https://fleet.example:8444 --token-file ~/.muster-token --ca "
    "fleet-ca.pem\n"
    "  muster push --metadata-only\n";

enum { PART_BYTES = 8 << 20, ATTEMPTS = 5, ANSWER_MAX = 64 << 10 };

static void push_fini(struct push *push)
{
    station_close(&push->station);
}
#define cleanup_push __attribute__((cleanup(push_fini)))

/* {"have": N}: how much of the blob the server holds now. */
static int parse_have(const struct buf *answer, uint64_t total, uint64_t *out, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "answer of the server", buf_text(answer), answer->len, err) < 0)
        return -1;
    json_get_u64(json_root(&reader), "have", total, out);
    return json_finish(&reader, err);
}

static int put_part(struct push *push, const char *digest, const struct file_map *map, uint64_t *offset,
                    struct err *err)
{
    size_t len = MIN((uint64_t)PART_BYTES, map->size - *offset);
    cleanup_free char *path =
        mem_printf("/api/v1/blobs/%s?offset=%" PRIu64 "&total=%zu", digest, *offset, map->size);
    cleanup_buf struct buf answer = BUF_INIT(ANSWER_MAX);
    if (!path)
        return err_no_memory(err);
    if (client_put(push->client, path, map->data + *offset, len, &answer, err) < 0)
        return -1;
    uint64_t have = 0;
    if (parse_have(&answer, map->size, &have, err) < 0)
        return -1;
    if (have <= *offset && have < map->size)
        return err_set(err, ERR_CONFLICT, "the server took nothing of %s behind byte %" PRIu64 "; push again",
                       digest, *offset);
    push->bytes_sent += len;
    *offset = have;
    return 0;
}

/* A part may be sent again: the server skips what it has. */
static int put_part_patiently(struct push *push, const char *digest, const struct file_map *map,
                              uint64_t *offset, struct err *err)
{
    for (int attempt = 1;; attempt++) {
        if (put_part(push, digest, map, offset, err) == 0)
            return 0;
        if (!err_retryable(err->code) || attempt == ATTEMPTS)
            return -1;
        sleep(1);
        *err = (struct err){0};
    }
}

static int send_blob(struct push *push, const struct digest *digest, const char *file, struct err *err)
{
    struct digest_text text = digest_format(digest);
    cleanup_file_map struct file_map map = {0};
    if (file_map(file, &map, err) < 0)
        return -1;
    for (uint64_t offset = 0;;) {
        if (put_part_patiently(push, text.text, &map, &offset, err) < 0)
            return -1;
        progress_show("pushing", push->done + offset, push->total);
        if (offset == map.size)
            break;
    }
    push->blobs_sent++;
    return 0;
}

int push_file(struct push *push, const struct digest *digest, uint64_t size, const char *file,
              struct err *err)
{
    struct digest_text text = digest_format(digest);
    cleanup_free char *path = mem_printf("/api/v1/blobs/%s", text.text);
    bool there = false;
    if (!path)
        return err_no_memory(err);
    if (client_has(push->client, path, &there, err) < 0)
        return -1;
    if (there)
        push->blobs_skipped++;
    else if (send_blob(push, digest, file, err) < 0)
        return -1;
    push->done += size;
    return 0;
}

static int push_blob(struct push *push, const struct digest *digest, uint64_t size, struct err *err)
{
    cleanup_free char *file = image_blob_path(push->image->dir, digest);
    return file ? push_file(push, digest, size, file, err) : err_no_memory(err);
}

/* Everything the manifest names, then the manifest. */
static int push_blobs(struct push *push, struct err *err)
{
    const struct oci_manifest *manifest = &push->image->manifest;
    push->total = push->image->size + manifest->config.size;
    for (size_t i = 0; i < manifest->layer_count; i++)
        push->total += manifest->layers[i].size;
    for (size_t i = 0; i < manifest->layer_count; i++)
        if (push_blob(push, &manifest->layers[i].digest, manifest->layers[i].size, err) < 0)
            return -1;
    if (push_blob(push, &manifest->config.digest, manifest->config.size, err) < 0)
        return -1;
    return push_blob(push, &push->image->digest, push->image->size, err);
}

/* ---- the release ---- */

static int register_release(struct push *push, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_digest(&w, "manifest", &push->image->digest);
    jsonw_close(&w);
    cleanup_free char *body = jsonw_take(&w, err);
    return body ? client_call(push->client, "POST", "/api/v1/releases", body, NULL, err) : -1;
}

static void print_text(const struct push *push)
{
    const struct image *image = push->image;
    if (image)
        printf("%s %s  %s\n", image->release.name, image->release.version,
               digest_format(&image->digest).text);
    printf("root %" PRId64 ", targets %" PRId64 ": %zu sent\n", repo_root(push->station.repo)->version,
           repo_targets(push->station.repo)->version, push->metadata_sent);
    printf("%zu blobs sent (%s), %zu were there: %s\n", push->blobs_sent, format_bytes(push->bytes_sent).text,
           push->blobs_skipped, client_server(push->client));
}

static int print(const struct push *push, bool json, struct err *err)
{
    if (!json) {
        print_text(push);
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    if (push->image) {
        jsonw_text(&out, "name", push->image->release.name);
        jsonw_text(&out, "version", push->image->release.version);
        jsonw_digest(&out, "digest", &push->image->digest);
    }
    jsonw_i64(&out, "root_version", repo_root(push->station.repo)->version);
    jsonw_i64(&out, "targets_version", repo_targets(push->station.repo)->version);
    jsonw_i64(&out, "metadata_sent", (int64_t)push->metadata_sent);
    jsonw_i64(&out, "blobs_sent", (int64_t)push->blobs_sent);
    jsonw_i64(&out, "blobs_skipped", (int64_t)push->blobs_skipped);
    jsonw_i64(&out, "bytes_sent", (int64_t)push->bytes_sent);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int refuse_unnamed(const struct push *push, const char *path, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0};
    struct err ignored = {0};
    if (repo_pending(push->station.repo, "targets", &pending, &ignored) == 0 &&
        tuf_metadata_target(&pending, path))
        return err_set(err, ERR_UNTRUSTED,
                       "targets %" PRId64
                       ", which name it, lack signatures: whoever holds another release key "
                       "signs them with muster keys sign",
                       pending.version);
    return err_set(err, ERR_UNTRUSTED, "not signed; sign it with muster sign %s", push->image->dir);
}

/* Before gigabytes are sent for nothing. */
static int check_named(const struct push *push, struct err *err)
{
    const struct tuf_metadata *targets = repo_targets(push->station.repo);
    const struct image *image = push->image;
    char path[132];
    snprintf(path, sizeof path, "%s/%s", image->release.name, image->release.version);
    const struct tuf_target *target = targets ? tuf_metadata_target(targets, path) : NULL;
    if (!target)
        return refuse_unnamed(push, path, err);
    if (memcmp(target->hashes.sha256, image->digest.bytes, sizeof image->digest.bytes) != 0)
        return err_set(err, ERR_UNTRUSTED,
                       "targets name other bytes for %s; sign this release under another version", path);
    return 0;
}

static int push_image(struct push *push, struct err *err)
{
    if (image_check_blobs(push->image, err) < 0 || check_named(push, err) < 0)
        return err_prefix(err, "release %s", push->image->dir);
    if (push_blobs(push, err) < 0 || push_metadata(push, err) < 0)
        return -1;
    return register_release(push, err);
}

/* What is sent is right, and not all that people may expect. */
static void warn_of_targets(const struct push *push)
{
    cleanup_tuf_metadata struct tuf_metadata pending = {0};
    struct err ignored = {0};
    bool holds = true;
    if (repo_holds(push->station.repo, "targets", &holds, &ignored) == 0 && !holds)
        fprintf(stderr,
                "muster push: root %" PRId64 " does not accept the signatures of targets %" PRId64
                " any more: robots install nothing until newer targets are signed and pushed\n",
                repo_root(push->station.repo)->version, repo_targets(push->station.repo)->version);
    ignored = (struct err){0};
    if (repo_pending(push->station.repo, "targets", &pending, &ignored) == 0)
        fprintf(stderr,
                "muster push: targets %" PRId64 " lack signatures and were not sent: muster keys sign\n",
                pending.version);
}

static int run(int argc, char **argv, struct err *err)
{
    struct client_flags where = {0};
    const char *keys = "keys";
    bool json = false, metadata_only = false;
    struct operands operands = {.usage = "RELEASE", .max = 1};
    const struct option_def options[] = {CLIENT_OPTIONS(where), OPT_TEXT("keys", 'K', &keys),
                                         OPT_FLAG("metadata-only", 0, &metadata_only),
                                         OPT_FLAG("json", 0, &json)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (metadata_only == (operands.count == 1))
        return err_set(err, ERR_USAGE,
                       metadata_only ? "--metadata-only takes no RELEASE"
                                     : "RELEASE is missing; see muster push --help");
    cleanup_push struct push push = {.station = {.lock = -1}};
    cleanup_image struct image image = {0};
    cleanup_client struct client *client = NULL;
    if (client_open(&where, &client, err) < 0 ||
        (!metadata_only && image_open(operands.items[0], NULL, &image, err) < 0))
        return -1;
    push.client = client;
    push.image = metadata_only ? NULL : &image;
    if (station_open(keys, &push.station, err) < 0)
        return -1;
    if (metadata_only ? push_metadata(&push, err) < 0 : push_image(&push, err) < 0)
        return -1;
    progress_clear();
    station_warn(&push.station);
    warn_of_targets(&push);
    return print(&push, json, err);
}

const struct verb verb_push = {
    .name = "push", .summary = "send a signed release to the fleet server", .help = help, .run = run};
