#include "cli/verbs.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/output.h"
#include "release/image.h"
#include "sys/file.h"
#include "wire/json.h"

#include <inttypes.h>

static const char help[] =
    "usage: muster push RELEASE [--server URL] [--token-file FILE] [--ca FILE] [--json]\n"
    "\n"
    "Sends a signed release to the fleet server, which checks every byte and the signature. What the server "
    "has already is\n"
    "not sent again, so an interrupted push goes on where it was.\n"
    "\n" CLIENT_HELP "      --json             what was sent, as JSON\n"
    "\n"
    "examples:\n"
    "  muster push detector-2 --server https://fleet.example:8443 --token-file ~/.muster-token --ca "
    "fleet-ca.pem\n";

enum { PART_BYTES = 8 << 20, ATTEMPTS = 5, ANSWER_MAX = 64 << 10 };

struct push {
    struct client *client;
    const struct image *image;
    uint64_t done, total; /* bytes, for the progress line */
    uint64_t bytes_sent;
    size_t blobs_sent, blobs_skipped;
};

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

static int send_blob(struct push *push, const struct digest *digest, struct err *err)
{
    struct digest_text text = digest_format(digest);
    cleanup_free char *file = image_blob_path(push->image->dir, digest);
    cleanup_file_map struct file_map map = {0};
    if (!file)
        return err_no_memory(err);
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

static int push_blob(struct push *push, const struct digest *digest, uint64_t size, struct err *err)
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
    else if (send_blob(push, digest, err) < 0)
        return -1;
    push->done += size;
    return 0;
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

static int register_release(struct push *push, const struct signature_envelope *envelope, struct err *err)
{
    cleanup_free char *signature = signature_format(envelope);
    if (!signature)
        return err_no_memory(err);
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_digest(&w, "manifest", &push->image->digest);
    jsonw_raw(&w, "signature", signature);
    jsonw_close(&w);
    cleanup_free char *body = jsonw_take(&w, err);
    return body ? client_call(push->client, "POST", "/api/v1/releases", body, NULL, err) : -1;
}

static int print(const struct push *push, bool json, struct err *err)
{
    const struct release *release = &push->image->release;
    struct digest_text digest = digest_format(&push->image->digest);
    if (!json) {
        printf("%s %s  %s\n%zu blobs sent (%s), %zu were there: %s\n", release->name, release->version,
               digest.text, push->blobs_sent, format_bytes(push->bytes_sent).text, push->blobs_skipped,
               client_server(push->client));
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "name", release->name);
    jsonw_text(&out, "version", release->version);
    jsonw_text(&out, "digest", digest.text);
    jsonw_i64(&out, "blobs_sent", (int64_t)push->blobs_sent);
    jsonw_i64(&out, "blobs_skipped", (int64_t)push->blobs_skipped);
    jsonw_i64(&out, "bytes_sent", (int64_t)push->bytes_sent);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int push_image(const struct image *image, struct client *client, bool json, struct err *err)
{
    cleanup_free struct signature_envelope *envelope = mem_zalloc(1, sizeof *envelope);
    if (!envelope)
        return err_no_memory(err);
    struct push push = {.client = client, .image = image};
    if (image_check_blobs(image, err) < 0 || image_signature(image, envelope, err) < 0)
        return err_prefix(err, "release %s", image->dir);
    if (push_blobs(&push, err) < 0 || register_release(&push, envelope, err) < 0)
        return -1;
    progress_clear();
    return print(&push, json, err);
}

static int run(int argc, char **argv, struct err *err)
{
    bool json = false;
    struct operands operands = {.usage = "RELEASE", .min = 1, .max = 1};
    cleanup_image struct image image = {0};
    cleanup_client struct client *client = NULL;
    if (client_start(argc, argv, &operands, &json, &client, err) < 0 ||
        image_open(operands.items[0], NULL, &image, err) < 0)
        return -1;
    return push_image(&image, client, json, err);
}

const struct verb verb_push = {
    .name = "push", .summary = "send a signed release to the fleet server", .help = help, .run = run};
