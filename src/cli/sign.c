#include "cli/verbs.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/oms.h"
#include "cli/output.h"
#include "release/image.h"
#include "sys/file.h"

static const char help[] =
    "usage: muster sign RELEASE [--keys DIR | --key FILE] [--model-key FILE] [--json]\n"
    "\n"
    "Signs a release (its manifest's digest and size) with an offline release key. The signature goes into "
    "the layout, beside\n"
    "the manifest; signatures by other keys stay.\n"
    "\n"
    "  -K, --keys DIR  folder of muster keys init (default: keys); its release.key signs\n"
    "  -k, --key FILE  another private key\n"
    "      --model-key FILE  also sign the files for other tools (OpenSSF Model Signing; muster oms --help)\n"
    "      --json      what was signed, as JSON\n"
    "\n"
    "examples:\n"
    "  muster sign detector-2\n"
    "  muster sign detector-2 --key /media/usb/release.key\n";

static int load_key(const char *dir, const char *file, struct signing_key **out, struct err *err)
{
    cleanup_free char *path = file ? mem_strdup(file) : file_join(dir, "release.key");
    if (!path)
        return err_no_memory(err);
    if (signing_key_load(path, out, err) == 0)
        return 0;
    if (err->code == ERR_NOT_FOUND)
        err_set(err, ERR_NOT_FOUND, "no release key %s; make one with muster keys init, or give --key FILE",
                path);
    return -1;
}

/* The envelope that is there, if it fits; else a new one. */
static int start_envelope(const struct image *image, struct signature_envelope *out, struct err *err)
{
    if (image_signature(image, out, err) == 0 && digest_equal(&out->digest, &image->digest) &&
        out->size == image->size)
        return 0;
    if (err->code != ERR_NONE && err->code != ERR_UNTRUSTED)
        return -1;
    *err = (struct err){0};
    *out = (struct signature_envelope){.digest = image->digest, .size = image->size};
    return 0;
}

static int print(const struct image *image, const char *keyid, bool json, struct err *err)
{
    struct digest_text digest = digest_format(&image->digest);
    if (!json) {
        printf("%s %s  %s\nsigned by %s\n", image->release.name, image->release.version, digest.text, keyid);
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "name", image->release.name);
    jsonw_text(&out, "version", image->release.version);
    jsonw_text(&out, "digest", digest.text);
    jsonw_text(&out, "keyid", keyid);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int sign(const struct image *image, const struct signing_key *key, bool json, struct err *err)
{
    cleanup_free struct signature_envelope *envelope = mem_zalloc(1, sizeof *envelope);
    if (!envelope)
        return err_no_memory(err);
    if (image_check_blobs(image, err) < 0 || start_envelope(image, envelope, err) < 0 ||
        signature_add(envelope, key, err) < 0 || layout_set_signature(image->dir, image, envelope, err) < 0)
        return -1;
    uint64_t freed = 0; /* the blobs of a signature that was replaced */
    if (layout_collect(image->dir, &freed, err) < 0)
        return -1;
    struct public_key public;
    signing_key_public(key, &public);
    return print(image, public.id, json, err);
}

static int run(int argc, char **argv, struct err *err)
{
    const char *dir = "keys", *file = NULL, *model_key = NULL;
    bool json = false;
    struct operands operands = {.usage = "RELEASE", .min = 1, .max = 1};
    const struct option_def options[] = {OPT_TEXT("keys", 'K', &dir), OPT_TEXT("key", 'k', &file), OPT_TEXT("model-key", 0, &model_key),
                                         OPT_FLAG("json", 0, &json)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    cleanup_image struct image image = {0};
    cleanup_signing_key struct signing_key *key = NULL;
    if (image_open(operands.items[0], NULL, &image, err) < 0 || load_key(dir, file, &key, err) < 0)
        return -1;
    if (model_key && oms_sign_release(&image, model_key, err) < 0)
        return -1;
    return sign(&image, key, json, err);
}

const struct verb verb_sign = {
    .name = "sign", .summary = "sign a release with an offline key", .help = help, .run = run};
