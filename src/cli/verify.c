#include "cli/verbs.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/target.h"
#include "sys/file.h"

#include <sys/utsname.h>

static const char help[] =
    "usage: muster verify RELEASE [--keyring FILE] [--machine NAME|any] [--json]\n"
    "\n"
    "The very checks that server and robot make: every byte against its digest, enough signatures by trusted "
    "keys, a machine\n"
    "it may run on, and a model whose tensors are those the release names. Exit status 3 if any of them "
    "fails.\n"
    "\n"
    "  -k, --keyring FILE  the trusted keys (default: keys/keyring.json)\n"
    "  -m, --machine NAME  as uname -m prints it (default: this machine); any: leave that check out\n"
    "      --json          the outcome as JSON\n"
    "\n"
    "RELEASE is a folder, or FOLDER@sha256:… where it holds several releases, as a robot's store does.\n"
    "\n"
    "examples:\n"
    "  muster verify detector-2\n"
    "  muster verify detector-2 --keyring /etc/muster/keyring.json --machine aarch64\n";

static int load_ring(const char *path, struct keyring *out, struct err *err)
{
    if (keyring_load(path, out, err) == 0)
        return 0;
    if (err->code == ERR_NOT_FOUND)
        err_set(err, ERR_NOT_FOUND, "no keyring %s; make one with muster keys init, or give --keyring FILE",
                path);
    return -1;
}

static int print(const struct image *image, bool json, struct err *err)
{
    struct digest_text digest = digest_format(&image->digest);
    if (!json) {
        printf("%s %s  %s\nverified\n", image->release.name, image->release.version, digest.text);
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_boolean(&out, "verified", true);
    jsonw_text(&out, "name", image->release.name);
    jsonw_text(&out, "version", image->release.version);
    jsonw_text(&out, "digest", digest.text);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int run(int argc, char **argv, struct err *err)
{
    const char *ring_path = "keys/keyring.json", *machine = NULL;
    bool json = false;
    struct operands operands = {.usage = "RELEASE", .min = 1, .max = 1};
    const struct option_def options[] = {OPT_TEXT("keyring", 'k', &ring_path),
                                         OPT_TEXT("machine", 'm', &machine), OPT_FLAG("json", 0, &json)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    struct utsname here;
    uname(&here);
    machine = machine ? machine : here.machine;
    cleanup_image struct image image = {0};
    struct keyring ring;
    if (load_ring(ring_path, &ring, err) < 0 || target_image(operands.items[0], &image, err) < 0)
        return -1;
    if (image_verify(&image, &ring, str_eq(machine, "any") ? NULL : machine, err) < 0)
        return err_prefix(err, "release %s", operands.items[0]);
    return print(&image, json, err);
}

const struct verb verb_verify = {.name = "verify",
                                 .summary = "check every byte, signature and tensor of a release",
                                 .help = help,
                                 .run = run};
