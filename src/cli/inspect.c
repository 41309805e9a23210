#include "cli/verbs.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/terms_text.h"
#include "sys/file.h"
#include "trust/repo/repo.h"
#include "wire/sbom.h"

#include <inttypes.h>

enum { SBOM_MAX = 4 << 20 };

static const char help[] =
    "usage: muster inspect RELEASE [--json | --sbom]\n"
    "\n"
    "Shows what a release promises, what it holds and who signed it. Nothing is trusted or run; `muster "
    "verify` checks.\n"
    "\n"
    "  --sbom  its bill of materials, as it is: CycloneDX 1.6, JSON\n"
    "  --metadata DIR  where the fleet's signed metadata lie (default: keys/metadata, if it is there): the "
    "terms of the "
    "release\n"
    "  --json          as JSON: name, version, digest, bytes, release (release.json), layers, signatures, "
    "terms\n"
    "\n"
    "examples:\n"
    "  muster inspect detector-2\n"
    "  muster inspect detector-2 --json\n";

struct word { /* of the fleet about this release */
    bool released;
    struct terms terms;
    size_t signer_count;
    char signers[16][65]; /* key ids: whose signatures of the targets hold */
};

static uint64_t total_bytes(const struct image *image)
{
    uint64_t total = image->size + image->manifest.config.size;
    for (size_t i = 0; i < image->manifest.layer_count; i++)
        total += image->manifest.layers[i].size;
    return total;
}

static void json_layer(struct json_writer *out, const struct oci_descriptor *layer)
{
    jsonw_object(out, NULL);
    jsonw_text(out, "path", layer->filepath);
    jsonw_text(out, "media_type", layer->media_type);
    jsonw_digest(out, "digest", &layer->digest);
    jsonw_i64(out, "bytes", (int64_t)layer->size);
    if (layer->variant[0])
        jsonw_text(out, "variant", layer->variant);
    jsonw_close(out);
}

static int print_json(const struct image *image, const struct word *word, struct err *err)
{
    cleanup_free char *release = release_format(&image->release);
    if (!release)
        return err_no_memory(err);
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "name", image->release.name);
    jsonw_text(&out, "version", image->release.version);
    jsonw_digest(&out, "digest", &image->digest);
    jsonw_i64(&out, "bytes", (int64_t)total_bytes(image));
    jsonw_raw(&out, "release", release);
    jsonw_array(&out, "layers");
    for (size_t i = 0; i < image->manifest.layer_count; i++)
        json_layer(&out, &image->manifest.layers[i]);
    jsonw_close(&out);
    jsonw_array(&out, "signatures");
    for (size_t i = 0; i < word->signer_count; i++)
        jsonw_text(&out, NULL, word->signers[i]);
    jsonw_close(&out);
    if (word->released)
        terms_write(&out, "terms", &word->terms);
    jsonw_close(&out);
    return output_print(&out, err);
}

static void print_tensor(const char *kind, const struct tensor_spec *tensor)
{
    printf("%-11s %s [", kind, tensor->name);
    for (size_t d = 0; d < tensor->dim_count; d++)
        printf("%s%" PRId64, d ? ", " : "", tensor->dims[d]);
    puts("]");
}

static void print_tensors(const struct release *release)
{
    for (size_t i = 0; i < release->input_count; i++)
        print_tensor("input", &release->inputs[i]);
    for (size_t i = 0; i < release->output_count; i++)
        print_tensor(i < release_answer_count(release) ? "output" : "tap", &release->outputs[i]);
}

static void print_words(const char *kind, const char *words, size_t count, size_t stride)
{
    printf("%-11s", kind);
    for (size_t i = 0; i < count; i++)
        printf("%s%s", i ? ", " : " ", words + i * stride);
    puts("");
}

/* What sets this release apart from one whose every frame stands for itself and that is switched at once. */
static void print_manner(const struct release *release)
{
    printf("task        %s, frames of %s\n", task_name(release->task),
           release->frame == FRAME_FLOAT32 ? "float32" : "rgb8");
    for (size_t i = 0; i < release->state_count; i++)
        printf("state       %s becomes the next frame's %s\n", release->state[i].output,
               release->state[i].input);
    printf("switch      ");
    if (release->switching.policy == SWITCH_MEMORY)
        printf("the old runner leaves first");
    else if (release->switching.shadow_frames > 0)
        printf("after %d shadow frames", release->switching.shadow_frames);
    else
        printf("at once");
    puts(release->switching.at == SWITCH_AT_SEQUENCE_END ? ", at the end of a sequence" : "");
}

static void print_variant(const struct image *image, const struct release_variant *variant)
{
    const struct oci_descriptor *layer = image_weights(image, variant->name);
    printf("variant     %-8s %-9s fidelity %.3f promised%s%s\n", variant->name,
           precision_name(variant->precision), variant->fidelity, layer ? ", " : ", but there are no weights",
           layer ? format_bytes(layer->size).text : "");
}

static void print_text(const struct image *image, const struct word *word)
{
    const struct release *release = &image->release;
    struct digest_text digest = digest_format(&image->digest);
    printf("%s %s%s%s\n", release->name, release->version, release->description[0] ? "  " : "",
           release->description);
    printf("digest      %s\n", digest.text);
    print_words("machines", release->targets[0], release->target_count, sizeof release->targets[0]);
    print_manner(release);
    if (release->label_count > 0)
        print_words("labels", release->labels[0], release->label_count, sizeof release->labels[0]);
    print_tensors(release);
    printf("budgets     p99 %g ms, deadline %g ms, %d MiB\n", release->budgets.latency_p99_ms,
           release->budgets.deadline_ms, release->budgets.memory_mib);
    printf("safe state  %s\n", release->safe_state);
    for (size_t i = 0; i < release->variant_count; i++)
        print_variant(image, &release->variants[i]);
    for (size_t i = 0; i < image->manifest.layer_count; i++) {
        const struct oci_descriptor *layer = &image->manifest.layers[i];
        printf("layer       %-20s %9s  %s\n", layer->filepath, format_bytes(layer->size).text,
               layer->media_type);
    }
    for (size_t i = 0; i < word->signer_count; i++)
        printf("signed by   %s\n", word->signers[i]);
    if (word->released)
        terms_print(&word->terms);
    else
        puts("not signed");
}

/* What targets say of exactly these bytes. */
static int ask_targets(const char *metadata, const struct image *image, struct word *out, struct err *err)
{
    cleanup_repo struct repo *repo = NULL;
    char path[132];
    snprintf(path, sizeof path, "%s/%s", image->release.name, image->release.version);
    if (repo_open(metadata, &repo, err) < 0)
        return -1;
    const struct tuf_target *target =
        repo_targets(repo) ? tuf_metadata_target(repo_targets(repo), path) : NULL;
    out->released = target && target->hashes.has_sha256 &&
                    memcmp(target->hashes.sha256, image->digest.bytes, sizeof image->digest.bytes) == 0;
    if (!out->released)
        return 0;
    out->signer_count = repo_targets_signers(repo, out->signers, ARRAY_LEN(out->signers));
    return terms_parse(target->custom, &out->terms, err);
}

static int inspect(const struct image *image, const char *metadata, bool json, struct err *err)
{
    struct word word = {0};
    if (metadata && ask_targets(metadata, image, &word, err) < 0)
        return -1;
    if (json)
        return print_json(image, &word, err);
    print_text(image, &word);
    return 0;
}

static int print_sbom(const struct image *image, struct err *err)
{
    const struct oci_descriptor *layer = oci_layer(&image->manifest, SBOM_TYPE, NULL);
    cleanup_buf struct buf text = BUF_INIT(SBOM_MAX);
    if (!layer)
        return err_set(err, ERR_NOT_FOUND, "the release has no bill of materials; pack it anew");
    cleanup_free char *path = image_blob_path(image->dir, &layer->digest);
    if (!path)
        return err_no_memory(err);
    if (image_check_blobs(image, err) < 0 || file_read(path, &text, err) < 0)
        return -1;
    return puts(buf_text(&text)) < 0 ? err_errno(err, "standard output") : 0;
}

static int run(int argc, char **argv, struct err *err)
{
    const char *metadata = file_exists("keys/metadata") ? "keys/metadata" : NULL;
    bool json = false, sbom = false;
    struct operands operands = {.usage = "RELEASE", .min = 1, .max = 1};
    const struct option_def options[] = {OPT_TEXT("metadata", 0, &metadata), OPT_FLAG("json", 0, &json),
                                         OPT_FLAG("sbom", 0, &sbom)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    cleanup_image struct image image = {0};
    if (target_image(operands.items[0], &image, err) < 0)
        return -1;
    return sbom ? print_sbom(&image, err) : inspect(&image, metadata, json, err);
}

const struct verb verb_inspect = {
    .name = "inspect", .summary = "show what a release promises and holds", .help = help, .run = run};
