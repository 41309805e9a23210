#include "forge/engine.h"

#include "base/mem.h"
#include "base/str.h"
#include "infer/runtime.h"
#include "release/engine.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/loader.h"
#include "sys/proc.h"
#include "wire/json_write.h"
#include "wire/tar.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

enum { MAX_ENTRIES = LOADER_MAX + 32, PIECE_BYTES = 128 << 10, LEVEL = 9, RUNNER_USER = 65534 };

#define STRING(x) #x
#define NUMBER(x) STRING(x)

static const char passwd[] = "root:x:0:0:root:/:/none\nmuster-runner:x:65534:65534::/:/none\n";
static const char group[] = "root:x:0:\nmuster-runner:x:65534:\n";

struct entry {
    struct tar_entry tar;
    char *source;     /* owned; NULL: `text` */
    const char *text; /* NULL: a directory */
};

struct tree {
    size_t count;
    struct entry entries[MAX_ENTRIES];
};

static void tree_free(struct tree *tree)
{
    for (size_t i = 0; tree && i < tree->count; i++)
        free(tree->entries[i].source);
    free(tree);
}
MUSTER_CLEANUP(struct tree *, tree_free)
#define cleanup_tree __attribute__((cleanup(tree_freep)))

/* ---- what goes in ---- */

static struct entry *find(struct tree *tree, const char *name)
{
    for (size_t i = 0; i < tree->count; i++)
        if (str_eq(tree->entries[i].tar.name, name))
            return &tree->entries[i];
    return NULL;
}

static int next(struct tree *tree, const char *name, struct entry **out, struct err *err)
{
    if (tree->count == MAX_ENTRIES)
        return err_set(err, ERR_TOO_BIG, "an engine of more than %d files", MAX_ENTRIES);
    *out = &tree->entries[tree->count++];
    **out = (struct entry){0};
    return str_copy((*out)->tar.name, sizeof(*out)->tar.name, name)
               ? 0
               : err_set(err, ERR_INVALID, "%.80s…: the name is too long", name);
}

/* "a/b/c": the directories a, a/b and, if `whole`, a/b/c. */
static int add_dirs(struct tree *tree, const char *name, bool whole, struct err *err)
{
    char part[TAR_NAME_SIZE];
    struct entry *entry;
    for (size_t i = 0; name[i] && i < sizeof part - 1; i++) {
        if (name[i + 1] != '/' && !(whole && !name[i + 1]))
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i + 1, name);
        if (find(tree, part))
            continue;
        if (next(tree, part, &entry, err) < 0)
            return -1;
        entry->tar.directory = true;
    }
    return 0;
}

static int add_file(struct tree *tree, const char *name, const char *source, bool executable, struct err *err)
{
    struct entry *entry;
    uint64_t size = 0;
    if (find(tree, name))
        return 0;
    if (add_dirs(tree, name, false, err) < 0 || file_size(source, &size, err) < 0 ||
        next(tree, name, &entry, err) < 0)
        return -1;
    entry->tar.size = size;
    entry->tar.executable = executable;
    entry->source = mem_strdup(source);
    return entry->source ? 0 : err_no_memory(err);
}

static int add_text(struct tree *tree, const char *name, const char *text, struct err *err)
{
    struct entry *entry;
    if (add_dirs(tree, name, false, err) < 0 || next(tree, name, &entry, err) < 0)
        return -1;
    entry->text = text;
    entry->tar.size = strlen(text);
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The loader where programs look for it, the rest where LD_LIBRARY_PATH points. */
static int add_libraries(struct tree *tree, const struct loader_list *list, struct err *err)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *path = list->paths[i];
        bool loader = str_eq(path, loader_path());
        cleanup_free char *name =
            loader ? mem_strdup(path + 1) : mem_printf("%s/%s", ENGINE_LIBRARIES + 1, base_name(path));
        if (!name)
            return err_no_memory(err);
        if (add_file(tree, name, path, loader, err) < 0)
            return -1;
    }
    return 0;
}

static int add_programs(struct tree *tree, const char *program, const char *runtime, struct err *err)
{
    cleanup_loader_list struct loader_list list = {0};
    if (loader_list(program, &list, err) < 0 || loader_list(runtime, &list, err) < 0)
        return -1;
    if (add_file(tree, ENGINE_PROGRAM + 1, program, true, err) < 0 ||
        add_file(tree, ENGINE_RUNTIME + 1, runtime, false, err) < 0)
        return -1;
    return add_libraries(tree, &list, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->tar.name, ((const struct entry *)b)->tar.name);
}

static int plant(struct tree *tree, const struct engine_options *options, struct err *err)
{
    static const char *const empty[] = {"dev", "proc", "sys", "run/muster", "store", "tmp"};
    cleanup_free char *self = proc_self_dir();
    cleanup_free char *beside = self ? file_join(self, "muster-runner") : NULL;
    cleanup_free char *runtime = options->runtime ? mem_strdup(options->runtime) : runtime_find(NULL, err);
    if (!runtime)
        return options->runtime ? err_no_memory(err) : -1;
    if (!beside)
        return err_no_memory(err);
    for (size_t i = 0; i < ARRAY_LEN(empty); i++)
        if (add_dirs(tree, empty[i], true, err) < 0)
            return -1;
    if (add_text(tree, "etc/passwd", passwd, err) < 0 || add_text(tree, "etc/group", group, err) < 0 ||
        add_programs(tree, options->program ? options->program : beside, runtime, err) < 0)
        return -1;
    qsort(tree->entries, tree->count, sizeof tree->entries[0], by_name);
    return 0;
}

/* ---- the archive ---- */

struct archive {
    gzFile file;
    struct hash *plain;  /* of what is in it, uncompressed: the image's diff id */
    struct hash *single; /* of the file that is being put in */
    uint8_t *piece;
    uint64_t bytes;
    const struct engine_options *options;
};

static int put(struct archive *archive, const void *data, size_t len, struct err *err)
{
    hash_update(archive->plain, data, len);
    archive->bytes += len;
    if (len > 0 && gzwrite(archive->file, data, (unsigned)len) != (int)len)
        return err_set(err, ERR_IO, "the engine's archive cannot be written; is the disk full?");
    return 0;
}

static int put_source(struct archive *archive, const struct entry *entry, struct err *err)
{
    cleanup_close int fd = open(entry->source, O_RDONLY | O_CLOEXEC);
    uint64_t left = entry->tar.size;
    if (fd < 0)
        return err_errno(err, "%s", entry->source);
    while (left > 0) {
        ssize_t got = read(fd, archive->piece, MIN(left, (uint64_t)PIECE_BYTES));
        if (got <= 0)
            return got < 0 ? err_errno(err, "%s", entry->source)
                           : err_set(err, ERR_BUSY, "%s became shorter while it was read", entry->source);
        hash_update(archive->single, archive->piece, (size_t)got);
        if (put(archive, archive->piece, (size_t)got, err) < 0)
            return -1;
        left -= (uint64_t)got;
    }
    struct digest digest = hash_finish(archive->single);
    const struct engine_options *options = archive->options;
    return options->file ? options->file(options->arg, entry->tar.name, &digest, err) : 0;
}

static int put_entry(struct archive *archive, const struct entry *entry, struct err *err)
{
    static const uint8_t zeros[TAR_BLOCK];
    uint8_t header[TAR_BLOCK];
    if (tar_format(&entry->tar, header, err) < 0 || put(archive, header, sizeof header, err) < 0)
        return -1;
    if (entry->source ? put_source(archive, entry, err) < 0
                      : put(archive, entry->text, entry->tar.size, err) < 0)
        return -1;
    return put(archive, zeros, tar_padding(entry->tar.size), err);
}

static int put_tree(struct archive *archive, const struct tree *tree, struct err *err)
{
    static const uint8_t end[2 * TAR_BLOCK];
    for (size_t i = 0; i < tree->count; i++)
        if (put_entry(archive, &tree->entries[i], err) < 0)
            return -1;
    return put(archive, end, sizeof end, err);
}

static int write_archive(const struct tree *tree, const struct engine_options *options, const char *path,
                         struct digest *out_plain, uint64_t *out_bytes, struct err *err)
{
    cleanup_hash struct hash *plain = hash_new(), *single = hash_new();
    cleanup_free uint8_t *piece = mem_zalloc(1, PIECE_BYTES);
    if (!plain || !single || !piece)
        return err_no_memory(err);
    struct archive archive = {.plain = plain,
                              .single = single,
                              .piece = piece,
                              .options = options,
                              .file = gzopen(path, "wbe" NUMBER(9))};
    if (!archive.file)
        return err_errno(err, "%s", path);
    int result = put_tree(&archive, tree, err);
    if (gzclose(archive.file) != Z_OK && result == 0)
        result = err_set(err, ERR_IO, "%s cannot be written; is the disk full?", path);
    *out_plain = hash_finish(plain);
    *out_bytes = archive.bytes;
    return result;
}

/* ---- the image ---- */

static char *config_format(const struct digest *plain, const char *created)
{
    json_t *run = json_pack("{s:s,s:[s,s,s],s:[s],s:s}", "User", "65534:65534", "Env", "PATH=/usr/bin",
                            "LD_LIBRARY_PATH=" ENGINE_LIBRARIES, "MUSTER_ONNXRUNTIME=" ENGINE_RUNTIME,
                            "Entrypoint", ENGINE_PROGRAM, "WorkingDir", "/");
    return json_write_new(json_pack("{s:s,s:s,s:s,s:o,s:{s:s,s:[o]},s:[{s:s,s:s}]}", "architecture",
                                    ENGINE_ARCHITECTURE, "os", "linux", "created", created, "config", run,
                                    "rootfs", "type", "layers", "diff_ids", json_from_digest(plain),
                                    "history", "created", created, "created_by", "muster pack --engine"));
}

static void name_it(struct oci_descriptor *descriptor, const char *type, const char *path)
{
    str_copy(descriptor->media_type, sizeof descriptor->media_type, type);
    str_copy(descriptor->filepath, sizeof descriptor->filepath, path);
}

static int add_document(const char *dir, char *text, struct oci_descriptor *out, struct err *err)
{
    cleanup_free char *owned = text;
    if (!owned)
        return err_no_memory(err);
    out->size = strlen(owned);
    return layout_add_blob(dir, owned, out->size, &out->digest, err);
}

static int add_image(const char *dir, const struct digest *plain, const char *created,
                     struct engine_parts *parts, struct err *err)
{
    cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    if (!manifest)
        return err_no_memory(err);
    name_it(&parts->config, OCI_IMAGE_CONFIG_TYPE, "");
    if (add_document(dir, config_format(plain, created), &parts->config, err) < 0)
        return -1;
    manifest->config = parts->config;
    manifest->layer_count = 1;
    manifest->layers[0] = parts->rootfs;
    if (add_document(dir, oci_manifest_format(manifest), &parts->manifest, err) < 0)
        return -1;
    name_it(&parts->manifest, OCI_MANIFEST_TYPE, "engine/manifest.json");
    str_copy(parts->manifest.variant, sizeof parts->manifest.variant, ENGINE_ARCHITECTURE);
    name_it(&parts->config, OCI_IMAGE_CONFIG_TYPE, "engine/config.json");
    name_it(&parts->rootfs, OCI_IMAGE_LAYER_TYPE, "engine/rootfs.tar.gz");
    return 0;
}

static int build_with(const char *dir, const struct engine_options *options, const char *temp,
                      struct engine_parts *out, struct err *err)
{
    cleanup_tree struct tree *tree = mem_zalloc(1, sizeof *tree);
    struct digest plain;
    if (!tree)
        return err_no_memory(err);
    name_it(&out->rootfs, OCI_IMAGE_LAYER_TYPE, "");
    if (plant(tree, options, err) < 0 ||
        write_archive(tree, options, temp, &plain, &out->unpacked_bytes, err) < 0 ||
        layout_add_file(dir, temp, &out->rootfs.digest, &out->rootfs.size, err) < 0)
        return -1;
    out->file_count = tree->count;
    return add_image(dir, &plain, options->created, out, err);
}

int engine_build(const char *dir, const struct engine_options *options, struct engine_parts *out,
                 struct err *err)
{
    *out = (struct engine_parts){0};
    cleanup_free char *temp = mem_printf("%s/blobs/sha256/" LAYOUT_TEMP_PREFIX "engine", dir);
    if (!temp)
        return err_no_memory(err);
    int result = build_with(dir, options, temp, out, err);
    unlink(temp);
    return result < 0 ? err_prefix(err, "engine") : 0;
}

int engine_pack(const char *dir, const struct engine_options *options, struct engine_parts *out,
                struct err *err)
{
    if (layout_init(dir, err) < 0 || engine_build(dir, options, out, err) < 0)
        return -1;
    struct oci_descriptor item = out->manifest;
    item.filepath[0] = item.variant[0] = '\0';
    str_copy(item.ref_name, sizeof item.ref_name, "engine");
    return layout_add_manifest(dir, &item, err);
}
