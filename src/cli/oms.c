/* muster oms: model signatures that other tools understand (OpenSSF Model Signing 1.0). */
#include "cli/oms.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "sys/file.h"
#include "trust/oms/oms.h"

#include <inttypes.h>
#include <unistd.h>

static const char help[] =
    "usage: muster oms keygen NAME\n"
    "       muster oms sign DIR|FILE --key FILE [-o model.sig] [--ignore PATH]…\n"
    "       muster oms verify DIR|FILE WHO [--signature model.sig] [--ignore-unsigned] [--json]\n"
    "       muster oms verify RELEASE WHO [--json]\n"
    "       muster oms export RELEASE -o DIR\n"
    "WHO is one of\n"
    "       --key PUBLIC                      this key\n"
    "       --certificate-chain ROOTS.pem     who has a certificate of one of these authorities\n"
    "       --sigstore-root trusted_root.json --identity NAME --identity-provider URL\n"
    "                                         who signed in with Sigstore under this name\n"
    "\n"
    "Signs and verifies models as OpenSSF Model Signing 1.0 has it, so that other tools can check what we "
    "sign and "
    "the other way round. We sign with\n"
    "keys (method \"key\"). Whom a robot believes is decided by its root, not by these signatures.\n"
    "\n"
    "  keygen   a pair of keys: NAME.key (P-256, 0600) and NAME.pub. Others on P-256, P-384 and P-521 in PEM "
    "do, too\n"
    "  sign     every file of a folder, or one file, into a detached signature. muster sign RELEASE "
    "--model-key FILE does it for a release\n"
    "  verify   the signature, and that every file is there, unchanged, and no other\n"
    "  export   the files of a release as a plain folder with its model.sig, for other tools\n"
    "\n"
    "  -k, --key FILE        private key to sign with, public key to verify with\n"
    "  -o, --output FILE     the signature (default: model.sig beside the files), or the new folder\n"
    "  -S, --signature FILE  the signature (default: model.sig in DIR, FILE.sig)\n"
    "      --ignore PATH     relative to DIR, with all below it; written down in the signature\n"
    "      --ignore-unsigned other files than the signed ones are no error\n"
    "\n"
    "examples:\n"
    "  muster oms keygen vendor && muster oms sign detector/ --key vendor.key\n"
    "  muster oms verify detector/ --key vendor.pub\n"
    "  muster oms verify detector/ --sigstore-root trusted_root.json --identity robin@example.org "
    "--identity-provider https://accounts.google.com\n"
    "  muster sign detector-2 --model-key vendor.key && muster oms export detector-2 -o plain\n"
    "  model_signing verify key plain --signature plain/model.sig --public_key vendor.pub\n";

struct flags {
    const char *key, *chain, *sigstore, *identity, *provider, *output, *signature;
    struct option_list ignore;
    bool unsigned_too, json;
};

static bool is_folder(const char *path)
{
    cleanup_free char *inside = mem_printf("%s/.", path);
    return inside && access(inside, F_OK) == 0;
}

static bool is_layout(const char *path)
{
    cleanup_free char *file = file_join(path, "oci-layout");
    return strstr(path, "@sha256:") || (file && file_exists(file));
}

static char *default_signature(const char *path)
{
    return is_folder(path) ? file_join(path, "model.sig") : mem_printf("%s.sig", path);
}

static int keygen(const char *name, struct err *err)
{
    cleanup_oms_key struct oms_key *key = NULL;
    cleanup_free char *secret = mem_printf("%s.key", name), *open = mem_printf("%s.pub", name);
    if (!secret || !open)
        return err_no_memory(err);
    if (oms_key_generate(&key, err) < 0 || oms_key_save(key, secret, open, err) < 0)
        return -1;
    printf("%s (keep it offline), %s\nfingerprint %s\n", secret, open, oms_key_hint(key));
    return 0;
}

static int sign_path(const char *path, const struct flags *flags, struct err *err)
{
    cleanup_oms_key struct oms_key *key = NULL;
    cleanup_free char *signature = flags->output ? mem_strdup(flags->output) : default_signature(path),
                      *text = NULL;
    if (!signature)
        return err_no_memory(err);
    if (oms_key_load(flags->key, &key, err) < 0 ||
        oms_sign_model(path, signature, flags->ignore.items, flags->ignore.count, key, &text, err) < 0 ||
        file_replace(signature, text, strlen(text), 0644, err) < 0)
        return -1;
    printf("%s, signed by %s\n", signature, oms_key_hint(key));
    return 0;
}

static void print_signer(struct json_writer *out, const struct oms_signer *who)
{
    static const char *const methods[] = {
        [OMS_KEY] = "key", [OMS_CERTIFICATE] = "certificate", [OMS_SIGSTORE] = "sigstore"};
    jsonw_text(out, "method", methods[who->method]);
    jsonw_text(out, who->method == OMS_KEY ? "key" : "certificate", who->fingerprint);
    jsonw_text(out, "curve", who->curve);
    if (who->name[0])
        jsonw_text(out, "signer", who->name);
    if (who->method != OMS_SIGSTORE)
        return;
    char time[CLOCK_RFC3339_SIZE];
    clock_rfc3339(who->time_s * 1000, time);
    jsonw_text(out, "provider", who->provider);
    jsonw_text(out, "time", time);
    jsonw_u64(out, "log_index", who->log_index);
}

static void print_plain(const struct oms_statement *statement, const struct oms_signer *who)
{
    struct digest_text root = digest_format(&statement->root);
    printf("%s: %zu files, signed by %s (%s)\n", statement->subject, statement->count,
           who->name[0] ? who->name : who->fingerprint, who->curve);
    if (who->method == OMS_SIGSTORE) {
        char time[CLOCK_RFC3339_SIZE];
        clock_rfc3339(who->time_s * 1000, time);
        printf("%s vouched for it, the log took it in at %s as entry %" PRIu64 "\n", who->provider, time,
               who->log_index);
    }
    printf("root %s\n", root.text);
}

static int print(const struct oms_statement *statement, const struct oms_signer *who, bool json,
                 struct err *err)
{
    if (!json) {
        print_plain(statement, who);
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "subject", statement->subject);
    jsonw_digest(&out, "root", &statement->root);
    print_signer(&out, who);
    jsonw_array(&out, "files");
    for (size_t i = 0; i < statement->count; i++) {
        jsonw_object(&out, NULL);
        jsonw_text(&out, "path", statement->resources[i].name);
        jsonw_digest(&out, "digest", &statement->resources[i].digest);
        jsonw_close(&out);
    }
    jsonw_close(&out);
    jsonw_close(&out);
    return output_print(&out, err);
}

/* The release's own blobs are checked against its manifest, the manifest's layers against the statement. */
static int check_release(const char *path, const struct oms_believed *believed, struct oms_statement *out,
                         struct oms_signer *who, struct err *err)
{
    cleanup_image struct image image = {0};
    cleanup_buf struct buf text = BUF_INIT(OMS_MAX_BYTES);
    cleanup_oms_statement struct oms_statement found = {0};
    if (target_image(path, &image, err) < 0 || image_check_blobs(&image, err) < 0 ||
        image_model_signature(&image, &text, err) < 0 || image_statement(&image, &found, err) < 0 ||
        oms_open(text.data, text.len, believed, out, who, err) < 0)
        return -1;
    if (oms_compare(out, &found, false, err) == 0)
        return 0;
    oms_statement_fini(out);
    return -1;
}

/* The files of the command line that say whom to believe. */
struct trust {
    struct oms_key *key;
    struct oms_authorities *authorities;
    struct oms_sigstore *sigstore;
    struct oms_believed believed;
};

static void trust_fini(struct trust *trust)
{
    oms_key_free(trust->key);
    oms_authorities_free(trust->authorities);
    oms_sigstore_free(trust->sigstore);
}
#define cleanup_trust __attribute__((cleanup(trust_fini)))

static int check_trust(const struct flags *flags, struct err *err)
{
    if (!!flags->key + !!flags->chain + !!flags->sigstore != 1)
        return err_set(
            err, ERR_USAGE,
            "whom do you believe? give --key, --certificate-chain or --sigstore-root; see muster oms --help");
    if (flags->sigstore && (!flags->identity || !flags->provider))
        return err_set(err, ERR_USAGE,
                       "anybody can sign with Sigstore; give --identity and --identity-provider");
    return 0;
}

static int load_trust(const struct flags *flags, struct trust *out, struct err *err)
{
    if (check_trust(flags, err) < 0)
        return -1;
    if (flags->key && oms_public_load(flags->key, &out->key, err) < 0)
        return -1;
    if (flags->chain && oms_authorities_load(flags->chain, &out->authorities, err) < 0)
        return -1;
    if (flags->sigstore &&
        oms_sigstore_load(flags->sigstore, flags->identity, flags->provider, &out->sigstore, err) < 0)
        return -1;
    out->believed = (struct oms_believed){.key = out->key,
                                          .authorities = out->authorities,
                                          .sigstore = out->sigstore,
                                          .now_s = clock_wall_ms() / 1000};
    return 0;
}

static int verify(const char *path, const struct flags *flags, struct err *err)
{
    cleanup_trust struct trust trust = {0};
    cleanup_oms_statement struct oms_statement statement = {0};
    struct oms_signer who;
    cleanup_free char *signature = flags->signature ? mem_strdup(flags->signature) : default_signature(path);
    if (!signature)
        return err_no_memory(err);
    if (load_trust(flags, &trust, err) < 0)
        return -1;
    int result =
        !flags->signature && is_layout(path)
            ? check_release(path, &trust.believed, &statement, &who, err)
            : oms_verify_model(path, signature, &trust.believed, flags->unsigned_too, &statement, &who, err);
    return result < 0 ? -1 : print(&statement, &who, flags->json, err);
}

/* ---- releases ---- */

int oms_sign_release(const struct image *image, const char *key_path, struct err *err)
{
    cleanup_oms_key struct oms_key *key = NULL;
    cleanup_oms_statement struct oms_statement statement = {0};
    cleanup_free char *text = NULL;
    if (oms_key_load(key_path, &key, err) < 0 || image_statement(image, &statement, err) < 0 ||
        oms_sign(&statement, key, &text, err) < 0)
        return -1;
    return layout_set_model_signature(image->dir, image, text, err);
}

static int export_file(const char *dir, const char *name, const char *from, struct err *err)
{
    cleanup_free char *path = file_join(dir, name);
    if (!path)
        return err_no_memory(err);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    if (file_make_dirs(path, 0755, err) < 0)
        return -1;
    *slash = '/';
    cleanup_file_map struct file_map map = {0};
    if (file_map(from, &map, err) < 0)
        return -1;
    return file_create(path, map.data, map.size, 0644, err);
}

static int export(const char *path, const char *dir, struct err *err)
{
    cleanup_image struct image image = {0};
    cleanup_buf struct buf text = BUF_INIT(OMS_MAX_BYTES);
    if (target_image(path, &image, err) < 0 || image_check_blobs(&image, err) < 0 ||
        image_model_signature(&image, &text, err) < 0)
        return -1;
    if (file_exists(dir))
        return err_set(err, ERR_EXISTS, "%s exists; choose another folder", dir);
    for (size_t i = 0; i < image.manifest.layer_count; i++) {
        const struct oci_descriptor *layer = &image.manifest.layers[i];
        cleanup_free char *blob = image_blob_path(image.dir, &layer->digest);
        if (!blob)
            return err_no_memory(err);
        if (layer->filepath[0] && export_file(dir, layer->filepath, blob, err) < 0)
            return -1;
    }
    cleanup_free char *signature = file_join(dir, "model.sig");
    if (!signature)
        return err_no_memory(err);
    if (file_create(signature, text.data, text.len, 0644, err) < 0)
        return -1;
    printf("%s: %zu files and model.sig\n", dir, image.manifest.layer_count);
    return 0;
}

/* ---- the verb ---- */

static int parse(int argc, char **argv, struct flags *flags, struct operands *operands, struct err *err)
{
    const struct option_def options[] = {OPT_TEXT("key", 'k', &flags->key),
                                         OPT_TEXT("certificate-chain", 0, &flags->chain),
                                         OPT_TEXT("sigstore-root", 0, &flags->sigstore),
                                         OPT_TEXT("identity", 0, &flags->identity),
                                         OPT_TEXT("identity-provider", 0, &flags->provider),
                                         OPT_TEXT("output", 'o', &flags->output),
                                         OPT_TEXT("signature", 'S', &flags->signature),
                                         OPT_LIST("ignore", 0, &flags->ignore),
                                         OPT_FLAG("ignore-unsigned", 0, &flags->unsigned_too),
                                         OPT_FLAG("json", 0, &flags->json)};
    return options_parse(argc, argv, options, ARRAY_LEN(options), operands, err);
}

static int need(const char *value, const char *what, struct err *err)
{
    return value ? 0 : err_set(err, ERR_USAGE, "%s; see muster oms --help", what);
}

static int run_keygen(int argc, char **argv, struct err *err)
{
    struct flags flags = {0};
    struct operands operands = {.usage = "NAME", .min = 1, .max = 1};
    return parse(argc, argv, &flags, &operands, err) < 0 ? -1 : keygen(operands.items[0], err);
}

static int run_sign(int argc, char **argv, struct err *err)
{
    struct flags flags = {0};
    struct operands operands = {.usage = "DIR|FILE", .min = 1, .max = 1};
    if (parse(argc, argv, &flags, &operands, err) < 0 ||
        need(flags.key, "which key signs? give --key FILE", err) < 0)
        return -1;
    return sign_path(operands.items[0], &flags, err);
}

static int run_verify(int argc, char **argv, struct err *err)
{
    struct flags flags = {0};
    struct operands operands = {.usage = "DIR|FILE|RELEASE", .min = 1, .max = 1};
    if (parse(argc, argv, &flags, &operands, err) < 0)
        return -1;
    return verify(operands.items[0], &flags, err);
}

static int run_export(int argc, char **argv, struct err *err)
{
    struct flags flags = {0};
    struct operands operands = {.usage = "RELEASE", .min = 1, .max = 1};
    if (parse(argc, argv, &flags, &operands, err) < 0 || need(flags.output, "where to? give -o DIR", err) < 0)
        return -1;
    return export(operands.items[0], flags.output, err);
}

static int run(int argc, char **argv, struct err *err)
{
    static const struct verb verbs[] = {
        {.name = "keygen", .summary = "make a pair of keys", .help = help, .run = run_keygen},
        {.name = "sign", .summary = "sign a model", .help = help, .run = run_sign},
        {.name = "verify", .summary = "check a signed model", .help = help, .run = run_verify},
        {.name = "export", .summary = "a release as plain files", .help = help, .run = run_export},
    };
    return verb_dispatch(verbs, ARRAY_LEN(verbs), "muster oms", argc - 1, argv + 1, err);
}

const struct verb verb_oms = {.name = "oms",
                              .summary = "sign and verify models as other tools do (OpenSSF Model Signing)",
                              .help = help,
                              .run = run};
