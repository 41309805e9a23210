#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/oms/inside.h"

#include <sys/stat.h>

enum { MAX_DEPTH = 32 };

static const char *const defaults[] = {".git", ".gitattributes", ".github", ".gitignore"};

struct walk {
    struct oms_statement *statement;
    const char *root;
    bool has_signature;
    struct stat signature;
    struct err *err;
};

struct place { /* a folder that is being listed */
    struct walk *walk;
    const char *prefix; /* "dir/" or "" */
    int depth;
};

int oms_ignore_defaults(struct oms_statement *statement, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        if (oms_statement_ignore(statement, defaults[i], err) < 0)
            return -1;
    return 0;
}

/* Whole components from the top: "cache" is cache and cache/x, not cached and not a/cache. */
static bool is_below(const char *name, const char *path)
{
    size_t len = strlen(path);
    return strncmp(name, path, len) == 0 && (name[len] == '\0' || name[len] == '/');
}

static bool is_ignored(const struct oms_statement *statement, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        if (is_below(name, defaults[i]))
            return true;
    for (size_t i = 0; i < statement->ignored_count; i++)
        if (is_below(name, statement->ignored[i]))
            return true;
    return false;
}

static int add_file(struct walk *walk, const char *path, const char *name, struct err *err)
{
    struct digest digest;
    if (hash_file(path, &digest, NULL, err) < 0)
        return -1;
    if (oms_statement_add(walk->statement, name, &digest, err) < 0)
        return err_prefix(err, "%s", walk->root);
    return 0;
}

static int list_folder(struct walk *walk, const char *path, const char *prefix, int depth, struct err *err);

static int add_entry(const struct place *place, const char *path, const char *name, struct err *err)
{
    struct walk *walk = place->walk;
    struct stat st;
    if (lstat(path, &st) < 0)
        return err_errno(err, "%s", path);
    if (walk->has_signature && st.st_dev == walk->signature.st_dev && st.st_ino == walk->signature.st_ino)
        return 0;
    if (S_ISREG(st.st_mode))
        return add_file(walk, path, name, err);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_REFUSED, "%s: is %s; a signed model holds only files and folders", path,
                       S_ISLNK(st.st_mode) ? "a symbolic link" : "a special file");
    cleanup_free char *prefix = mem_printf("%s/", name);
    return prefix ? list_folder(walk, path, prefix, place->depth + 1, err) : err_no_memory(err);
}

static int visit(const char *entry, void *arg)
{
    const struct place *place = arg;
    struct walk *walk = place->walk;
    cleanup_free char *name = mem_printf("%s%s", place->prefix, entry);
    cleanup_free char *path = name ? file_join(walk->root, name) : NULL;
    if (!path)
        return err_no_memory(walk->err);
    if (is_ignored(walk->statement, name))
        return 0;
    return add_entry(place, path, name, walk->err);
}

static int list_folder(struct walk *walk, const char *path, const char *prefix, int depth, struct err *err)
{
    struct place place = {.walk = walk, .prefix = prefix, .depth = depth};
    struct err failure = {0};
    if (depth > MAX_DEPTH)
        return err_set(err, ERR_TOO_BIG, "%s: folders more than %d deep", walk->root, MAX_DEPTH);
    struct err *outer = walk->err;
    walk->err = &failure;
    int result = file_list(path, visit, &place, err);
    walk->err = outer;
    if (result == 0 && failure.code != ERR_NONE) {
        *err = failure;
        return -1;
    }
    return result;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int oms_list_files(const char *path, const char *signature, struct oms_statement *statement, struct err *err)
{
    struct walk walk = {.statement = statement, .root = path};
    struct stat st;
    walk.has_signature = signature && stat(signature, &walk.signature) == 0;
    if (stat(path, &st) < 0)
        return err_errno(err, "%s", path);
    int result = S_ISREG(st.st_mode) ? add_file(&walk, path, base_name(path), err)
                                     : list_folder(&walk, path, "", 0, err);
    if (result == 0)
        oms_statement_sort(statement);
    return result;
}

int oms_compare(const struct oms_statement *is_signed, const struct oms_statement *found, bool unsigned_too,
                struct err *err)
{
    size_t i = 0, k = 0;
    while (i < is_signed->count || k < found->count) {
        const struct oms_resource *want = i < is_signed->count ? &is_signed->resources[i] : NULL;
        const struct oms_resource *have = k < found->count ? &found->resources[k] : NULL;
        int order = !want ? 1 : !have ? -1 : strcmp(want->name, have->name);
        if (order < 0)
            return err_set(err, ERR_UNTRUSTED, "%.150s is signed, but it is not there", want->name);
        if (order > 0 && !unsigned_too)
            return err_set(err, ERR_UNTRUSTED, "%.150s is there, but it is not signed", have->name);
        if (order == 0 && !digest_equal(&want->digest, &have->digest))
            return err_set(err, ERR_UNTRUSTED, "%.150s was changed after it was signed", want->name);
        i += order == 0;
        k += order >= 0;
    }
    return 0;
}
