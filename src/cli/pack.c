#include "cli/verbs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/output.h"
#include "forge/engine.h"
#include "forge/pack.h"
#include "forge/profile/profile.h"
#include "trust/seal/seal.h"

static const char help[] =
    "usage: muster pack release.yaml [--engine] [--seal FILE] -o DIR [--json]\n"
    "       muster pack --engine -o DIR [--json]\n"
    "\n"
    "Makes a release of an ONNX model: checks its tensors against release.yaml, loads it, runs it on the "
    "golden pictures and\n"
    "writes an OCI image layout (CNCF ModelPack) to DIR. The same input gives the same bytes; "
    "SOURCE_DATE_EPOCH or\n"
    "`created:` in the yaml set the time that is written down.\n"
    "\n"
    "  -o, --output DIR    where to; a release that is there is replaced\n"
    "      --engine        put muster-runner, ONNX Runtime and their libraries in as an OCI image: robots "
    "then run "
    "the model in\n"
    "                      a container of exactly these bytes. Without release.yaml: that image alone\n"
    "      --seal FILE     encrypt the weights with the content key in FILE (made if it is not there, 0600; "
    "keep it offline): only robots\n"
    "                      that are granted it can load them (muster grant --help)\n"
    "      --runtime FILE  libonnxruntime.so.1 to use (MUSTER_ONNXRUNTIME)\n"
    "      --json          what was made, as JSON\n"
    "\n"
    "examples:\n"
    "  muster pack models/detector-2.0.0/release.yaml -o detector-2\n"
    "  muster pack --engine -o engine && skopeo copy oci:engine:engine "
    "docker-archive:engine.tar:muster-engine\n"
    "  skopeo copy oci:detector-2:detector-2.0.0 docker://registry.example/robots:detector-2.0.0\n"
    "\n"
    "A copy keeps the name (verify wants it); a model signature is beside it, as sha256-DIGEST.oms.\n";

static int epoch_time(char out[CLOCK_RFC3339_SIZE], bool *out_given, struct err *err)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    uint64_t seconds = 0;
    *out_given = text && text[0];
    if (!*out_given)
        return 0;
    if (!str_to_u64(text, &seconds) || seconds > 253402300799U) /* the end of year 9999 */
        return err_set(err, ERR_USAGE, "SOURCE_DATE_EPOCH=%.40s: must be seconds since 1970", text);
    clock_rfc3339((int64_t)seconds * 1000, out);
    out[19] = 'Z'; /* whole seconds */
    out[20] = '\0';
    return 0;
}

static int print_json(const struct pack_report *report, const char *dir, struct err *err)
{
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "name", report->name);
    jsonw_text(&out, "version", report->version);
    jsonw_digest(&out, "digest", &report->digest);
    jsonw_text(&out, "ref", report->ref);
    jsonw_text(&out, "dir", dir);
    jsonw_i64(&out, "bytes", (int64_t)report->total_bytes);
    jsonw_i64(&out, "golden_cases", (int64_t)report->golden_count);
    jsonw_text(&out, "backend", report->backend);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int pack_engine(const char *dir, const char *runtime, const char *created, bool json, struct err *err)
{
    struct engine_options how = {.runtime = runtime, .created = created ? created : "1970-01-01T00:00:00Z"};
    struct engine_parts parts;
    if (engine_pack(dir, &how, &parts, err) < 0)
        return -1;
    struct digest_text digest = digest_format(&parts.manifest.digest);
    if (!json) {
        printf("engine  %s\n%s: %s, %zu files, %s unpacked\n", digest.text, dir,
               format_bytes(parts.rootfs.size).text, parts.file_count,
               format_bytes(parts.unpacked_bytes).text);
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_digest(&out, "digest", &parts.manifest.digest);
    jsonw_text(&out, "ref", "engine");
    jsonw_text(&out, "dir", dir);
    jsonw_i64(&out, "bytes", (int64_t)parts.rootfs.size);
    jsonw_i64(&out, "unpacked_bytes", (int64_t)parts.unpacked_bytes);
    jsonw_i64(&out, "files", (int64_t)parts.file_count);
    jsonw_close(&out);
    return output_print(&out, err);
}

/* A new content key is kept before anything is sealed with it. */
static int content_key(const char *path, struct seal_key *out, struct err *err)
{
    if (seal_key_load(path, out, err) == 0)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    *err = (struct err){0};
    return seal_key_make(out, err) < 0 ? -1 : seal_key_save(out, path, err);
}

static void show_profile(size_t done, size_t total, void *arg)
{
    progress_show("profile: frames", done, total);
}

static int run(int argc, char **argv, struct err *err)
{
    const char *dir = NULL, *runtime = NULL, *seal = NULL;
    cleanup_seal_key struct seal_key key = {{0}};
    bool json = false, dated = false, engine = false;
    char created[CLOCK_RFC3339_SIZE];
    struct operands operands = {.usage = "release.yaml", .min = 0, .max = 1};
    const struct option_def options[] = {OPT_TEXT("output", 'o', &dir), OPT_TEXT("runtime", 0, &runtime),
                                         OPT_FLAG("engine", 0, &engine), OPT_TEXT("seal", 0, &seal),
                                         OPT_FLAG("json", 0, &json)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (!dir)
        return err_set(err, ERR_USAGE, "where to? give -o DIR");
    if (epoch_time(created, &dated, err) < 0)
        return -1;
    if (operands.count == 0 && engine)
        return pack_engine(dir, runtime, dated ? created : NULL, json, err);
    if (operands.count == 0)
        return err_set(err, ERR_USAGE, "which release.yaml?");
    struct pack_options how = {.runtime_path = runtime,
                               .created = dated ? created : NULL,
                               .engine = engine,
                               .make_profile = profile_make_bytes,
                               .progress = show_profile};
    struct pack_report report;
    if (seal && content_key(seal, &key, err) < 0)
        return -1;
    how.seal = seal ? &key : NULL;
    int result = pack_release(operands.items[0], dir, &how, &report, err);
    progress_clear();
    if (result < 0)
        return -1;
    if (json)
        return print_json(&report, dir, err);
    struct digest_text digest = digest_format(&report.digest);
    printf("%s %s  %s\n%s: %s, %zu golden cases by %s\n", report.name, report.version, digest.text, dir,
           format_bytes(report.total_bytes).text, report.golden_count, report.backend);
    return 0;
}

const struct verb verb_pack = {
    .name = "pack", .summary = "make a release of an ONNX model", .help = help, .run = run};
