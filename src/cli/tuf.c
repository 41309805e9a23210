/* muster tuf: a plain TUF client. Its command line is the one by which public conformance suites drive clients: options before the command,
 * exit status 0, or exactly 1 for whatever went wrong. */
#include "cli/cli.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/fetch.h"
#include "sys/file.h"
#include "trust/rule.h"
#include "trust/tuf/content.h"
#include "trust/tuf/name.h"
#include "trust/tuf/shelf.h"
#include "trust/tuf/update.h"

#include <fcntl.h>

enum { MAX_ROOT_BYTES = 512000, STALL_S = 30, METADATA_TIMEOUT_S = 120 };

static const char help[] =
    "usage: muster tuf --metadata-dir DIR init ROOT.json\n"
    "       muster tuf --metadata-dir DIR --metadata-url URL refresh\n"
    "       muster tuf --metadata-dir DIR --metadata-url URL --target-name PATH… --target-dir TDIR\n"
    "                  --target-base-url URL download\n\n"
    "A TUF client (specification 1.0.34): keeps trusted metadata in DIR, byte for byte as it came, and "
    "downloads what\n"
    "the repository's offline keys vouch for. Options come before the command.\n\n"
    "  --metadata-dir DIR     where trusted metadata is kept (root.json, timestamp.json, …)\n"
    "  --metadata-url URL     where the repository's metadata is\n"
    "  --target-name PATH     a target to download; may be given several times\n"
    "  --target-dir TDIR      where targets are put, named by their percent-encoded path\n"
    "  --target-base-url URL  where the repository's targets are\n"
    "  --ca FILE              who vouches for the server's certificate (https); http is for this machine "
    "only\n"
    "  --stall SECONDS        give up on a server from which nothing comes for so long (30)\n"
    "  --timeout SECONDS      give up on one file of metadata that takes longer than that in all (120)\n\n"
    "  muster tuf --metadata-dir md init root.json\n"
    "  muster tuf --metadata-dir md --metadata-url https://mirror.example/metadata --ca ca.pem refresh\n\n"
    "exit status: 0 done, 1 anything else\n";

struct tuf_flags {
    const char *metadata_dir, *metadata_url, *target_dir, *target_url, *ca;
    struct option_list targets;
    int64_t stall_s, timeout_s;
};

struct tuf_session {
    const struct tuf_flags *flags;
    struct fetch *fetch;
    struct tuf_shelf *shelf;
    struct tuf_update *update;
};

static int need(const char *value, const char *option, const char *command, struct err *err)
{
    if (value && *value)
        return 0;
    return err_set(err, ERR_USAGE, "%s needs --%s", command, option);
}

/* ---- metadata ---- */

static char *join_url(const char *base, const char *rest)
{
    return mem_printf("%s%s%s", base, str_ends(base, "/") ? "" : "/", rest);
}

/* One file that the update wants. What the server does not give or gives too much of is for the update to judge. */
static int answer(struct tuf_session *session, const struct tuf_want *want, struct err *err)
{
    cleanup_free char *url = join_url(session->flags->metadata_url, want->name);
    struct fetch_request request = {.method = "GET",
                                    .url = url,
                                    .timeout_ms = session->flags->timeout_s * 1000,
                                    .stall_s = (int)session->flags->stall_s,
                                    .max_bytes = want->max_bytes};
    struct fetch_response response = {0};
    struct err why = {0};
    if (!url)
        return err_no_memory(err);
    int rc = fetch_once(session->fetch, &request, &response, &why);
    if (rc == 0)
        tuf_update_give(session->update, response.body.data, response.body.len);
    else if (response.status == 404 || response.status == 403)
        tuf_update_lack(session->update);
    else if (response.status == 0 && why.code == ERR_TOO_BIG)
        tuf_update_overflow(session->update);
    else
        *err = why;
    buf_fini(&response.body);
    return err->code == ERR_NONE ? 0 : err_prefix(err, "%s", want->name);
}

static int drive(struct tuf_session *session, struct err *err)
{
    struct tuf_want want;
    enum tuf_step step;
    while ((step = tuf_update_step(session->update, &want, err)) == TUF_WANT)
        if (answer(session, &want, err) < 0)
            return -1;
    return step == TUF_DONE ? 0 : -1;
}

static void close_session(struct tuf_session *session)
{
    tuf_update_free(session->update);
    tuf_shelf_free(session->shelf);
    fetch_free(session->fetch);
}
#define cleanup_session __attribute__((cleanup(close_session)))

static int open_session(const struct tuf_flags *flags, struct tuf_session *session, struct err *err)
{
    const struct fetch_options options = {.ca_path = flags->ca};
    session->flags = flags;
    session->shelf = tuf_shelf_dir(flags->metadata_dir, err);
    if (!session->shelf || fetch_new(&options, &session->fetch, err) < 0)
        return -1;
    const struct tuf_update_options update = {.shelf = session->shelf, .now_s = clock_wall_ms() / 1000};
    return tuf_update_new(&update, &session->update, err);
}

static void say_trusted(const struct tuf_update *update)
{
    static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};
    printf("trusted:");
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        const struct tuf_metadata *role = tuf_update_role(update, roles[i]);
        printf("%s %s %lld", i ? "," : "", roles[i], role ? (long long)role->version : 0);
    }
    printf("\n");
}

/* ---- targets ---- */

/* "dir/HASH.name" in a repository with consistent snapshots, else "dir/name". Whatever is no part of a URL's path is encoded. */
static char *target_place(const struct tuf_target *target, bool consistent)
{
    char hash[129];
    cleanup_buf struct buf out = BUF_INIT(64 << 10);
    struct err ignored = {0};
    const struct tuf_hashes *hashes = &target->hashes;
    const char *slash = strrchr(target->path, '/'), *name = slash ? slash + 1 : target->path;
    if (hashes->has_sha256)
        hex_encode(hashes->sha256, sizeof hashes->sha256, hash);
    else
        hex_encode(hashes->sha512, sizeof hashes->sha512, hash);
    for (const char *c = target->path;; c++) {
        if (c == name && consistent && buf_printf(&out, &ignored, "%s.", hash) < 0)
            return NULL;
        if (!*c)
            return buf_take(&out);
        bool plain = (unsigned char)*c > ' ' && (unsigned char)*c < 0x7f && !strchr("\"<>\\^`{|}?#", *c);
        if ((plain ? buf_put(&out, c, 1, &ignored)
                   : buf_printf(&out, &ignored, "%%%02X", (unsigned char)*c)) < 0)
            return NULL;
    }
}

/* 1: the file is there already. */
static int is_cached(const char *path, const struct tuf_target *target, struct err *err)
{
    struct file_map map;
    struct err why = {0};
    if (file_map(path, &map, &why) < 0)
        return why.code == ERR_NOT_FOUND ? 0 : (*err = why, -1);
    bool fits = tuf_content_fits(&target->hashes, target->length, map.data, map.size);
    file_unmap(&map);
    return fits;
}

struct sink {
    int fd;
    struct tuf_content *content;
};

static int sink_put(const void *data, size_t len, void *arg, struct err *err)
{
    struct sink *sink = arg;
    tuf_content_put(sink->content, data, len);
    for (size_t done = 0; done < len;) {
        ssize_t n = write(sink->fd, (const char *)data + done, len - done);
        if (n < 0)
            return err_errno(err, "cannot write the target");
        done += (size_t)n;
    }
    return 0;
}

static int fetch_target(struct tuf_session *session, const struct tuf_target *target, int fd, struct err *err)
{
    cleanup_free char *place = target_place(target, tuf_update_root(session->update)->consistent_snapshot);
    cleanup_free char *url = place ? join_url(session->flags->target_url, place) : NULL;
    cleanup_tuf_content struct tuf_content *content = NULL;
    struct fetch_response response = {0};
    if (!url)
        return err_no_memory(err);
    if (tuf_content_new(target, &content, err) < 0)
        return -1;
    struct sink sink = {.fd = fd, .content = content};
    struct fetch_request request = {.method = "GET",
                                    .url = url,
                                    .stall_s = (int)session->flags->stall_s,
                                    .max_bytes = MAX(target->length, 1),
                                    .sink = sink_put,
                                    .sink_arg = &sink};
    int rc = fetch_once(session->fetch, &request, &response, err);
    buf_fini(&response.body);
    if (rc < 0 && response.status == 0 && err->code == ERR_TOO_BIG)
        return trust_refuse(err, TRUST_TARGET_HASH, "more than the %llu bytes that targets name",
                            (unsigned long long)target->length);
    if (rc < 0)
        return -1;
    if (fsync(fd) < 0)
        return err_errno(err, "cannot write the target");
    return tuf_content_end(content, err);
}

/* Beside its place, and there only when it is whole and right. */
static int download_to(struct tuf_session *session, const struct tuf_target *target, const char *path,
                       struct err *err)
{
    cleanup_free char *temp = mem_printf("%s" FILE_TEMP_MARK "XXXXXX", path);
    cleanup_close int fd = temp ? mkostemp(temp, O_CLOEXEC) : -1;
    if (fd < 0)
        return err_errno(err, "%s: cannot make a file", path);
    if (fetch_target(session, target, fd, err) == 0 && file_rename(temp, path, err) == 0)
        return 0;
    unlink(temp);
    return -1;
}

static int download_one(struct tuf_session *session, const char *name, struct err *err)
{
    tuf_update_seek(session->update, name);
    if (drive(session, err) < 0)
        return -1;
    const struct tuf_target *target = tuf_update_target(session->update);
    cleanup_free char *file = tuf_name_encode(name);
    cleanup_free char *path = file ? file_join(session->flags->target_dir, file) : NULL;
    if (!path)
        return err_no_memory(err);
    int cached = is_cached(path, target, err);
    if (cached < 0 || (cached == 0 && download_to(session, target, path, err) < 0))
        return -1;
    printf("%s%s\n", path, cached ? " (was there)" : "");
    return 0;
}

/* ---- commands ---- */

static int run_init(const struct tuf_flags *flags, const char *root, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(MAX_ROOT_BYTES);
    if (!root)
        return err_set(err, ERR_USAGE, "init needs the trusted ROOT.json");
    if (file_read(root, &bytes, err) < 0)
        return -1;
    cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_dir(flags->metadata_dir, err);
    return shelf ? tuf_trust(shelf, bytes.data, bytes.len, err) : -1;
}

static int run_refresh(const struct tuf_flags *flags, const char *none, struct err *err)
{
    cleanup_session struct tuf_session session = {0};
    (void)none;
    if (need(flags->metadata_url, "metadata-url", "refresh", err) < 0 ||
        open_session(flags, &session, err) < 0)
        return -1;
    tuf_update_refresh(session.update);
    if (drive(&session, err) < 0)
        return -1;
    say_trusted(session.update);
    return 0;
}

static int run_download(const struct tuf_flags *flags, const char *none, struct err *err)
{
    cleanup_session struct tuf_session session = {0};
    (void)none;
    if (need(flags->metadata_url, "metadata-url", "download", err) < 0 ||
        need(flags->target_dir, "target-dir", "download", err) < 0 ||
        need(flags->target_url, "target-base-url", "download", err) < 0 ||
        need(flags->targets.count ? "some" : NULL, "target-name", "download", err) < 0)
        return -1;
    if (open_session(flags, &session, err) < 0 || file_make_dirs(flags->target_dir, 0755, err) < 0)
        return -1;
    for (size_t i = 0; i < flags->targets.count; i++)
        if (download_one(&session, flags->targets.items[i], err) < 0)
            return err_prefix(err, "%.60s", flags->targets.items[i]);
    return 0;
}

static int run_command(const struct tuf_flags *flags, const struct operands *operands, struct err *err)
{
    static const struct {
        const char *name;
        int (*run)(const struct tuf_flags *flags, const char *operand, struct err *err);
        size_t operands;
    } commands[] = {{"init", run_init, 2}, {"refresh", run_refresh, 1}, {"download", run_download, 1}};
    if (need(flags->metadata_dir, "metadata-dir", operands->items[0], err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (str_eq(operands->items[0], commands[i].name) && operands->count <= commands[i].operands)
            return commands[i].run(flags, operands->items[1], err);
    return err_set(err, ERR_USAGE, "say init ROOT.json, refresh or download; see muster tuf --help");
}

static int run(int argc, char **argv, struct err *err)
{
    struct tuf_flags flags = {.stall_s = STALL_S, .timeout_s = METADATA_TIMEOUT_S};
    struct operands operands = {.usage = "init ROOT.json|refresh|download", .min = 1, .max = 2};
    const struct option_def options[] = {
        OPT_TEXT("metadata-dir", 0, &flags.metadata_dir),  OPT_TEXT("metadata-url", 0, &flags.metadata_url),
        OPT_LIST("target-name", 0, &flags.targets),        OPT_TEXT("target-dir", 0, &flags.target_dir),
        OPT_TEXT("target-base-url", 0, &flags.target_url), OPT_TEXT("ca", 0, &flags.ca),
        OPT_INT("stall", 0, &flags.stall_s, 1, 3600),      OPT_INT("timeout", 0, &flags.timeout_s, 1, 3600)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (run_command(&flags, &operands, err) == 0)
        return 0;
    fflush(stdout);
    fprintf(stderr, "muster tuf: %s\n", err->text);
    return 1;
}

const struct verb verb_tuf = {.name = "tuf", .summary = "a plain TUF client", .help = help, .run = run};
