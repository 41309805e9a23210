#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/oms/inside.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

/* "/a/b/model" for a folder that exists, however it was called. */
static char *real_path(const char *path, struct err *err)
{
    char *real = realpath(path, NULL);
    if (!real)
        (void)err_errno(err, "%s", path);
    return real;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int name_subject(const char *path, struct oms_statement *statement, struct err *err)
{
    cleanup_free char *real = real_path(path, err);
    if (!real)
        return -1;
    statement->subject = mem_strdup(real[1] ? base_name(real) : "model");
    return statement->subject ? 0 : err_no_memory(err);
}

/* The place of `path` in `root`, both real; NULL: it is not below it. */
static const char *inside(const char *root, const char *path)
{
    size_t len = strlen(root);
    return strncmp(root, path, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

/* A signature that is going to lie in the model is written down as ignored, so that others find it left out, too. */
static int ignore_signature(const char *path, const char *signature, struct oms_statement *statement,
                            struct err *err)
{
    const char *slash = strrchr(signature, '/');
    cleanup_free char *folder = slash ? mem_strndup(signature, (size_t)(slash - signature)) : mem_strdup(".");
    if (!folder)
        return err_no_memory(err);
    cleanup_free char *real = real_path(folder[0] ? folder : "/", err);
    cleanup_free char *root = real_path(path, err);
    if (!real || !root)
        return -1;
    cleanup_free char *whole = mem_printf("%s/%s", real, base_name(signature));
    if (!whole)
        return err_no_memory(err);
    const char *name = inside(root, whole);
    return name ? oms_statement_ignore(statement, name, err) : 0;
}

int oms_sign_model(const char *path, const char *signature, const char *const *ignore, size_t ignore_count,
                   const struct oms_key *key, char **out, struct err *err)
{
    cleanup_oms_statement struct oms_statement statement = {0};
    if (name_subject(path, &statement, err) < 0 || oms_ignore_defaults(&statement, err) < 0 ||
        (signature && ignore_signature(path, signature, &statement, err) < 0))
        return -1;
    for (size_t i = 0; i < ignore_count; i++)
        if (oms_statement_ignore(&statement, ignore[i], err) < 0)
            return -1;
    if (oms_list_files(path, signature, &statement, err) < 0)
        return -1;
    return oms_sign(&statement, key, out, err);
}

static int open_file(const char *signature, const struct oms_believed *believed, struct oms_statement *out,
                     struct oms_signer *who, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(OMS_MAX_BYTES);
    if (file_read(signature, &text, err) < 0)
        return -1;
    return oms_open(text.data, text.len, believed, out, who, err) < 0 ? err_prefix(err, "%s", signature) : 0;
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* A model that is one file: called by its name, or "." as older tools have it. */
static bool names_file(const struct oms_statement *statement, const char *path)
{
    const char *name = statement->resources[0].name;
    return statement->count == 1 && (str_eq(name, ".") || str_eq(name, base_name(path)));
}

static int compare_file(const struct digest *want, const char *path, struct err *err)
{
    struct digest have;
    if (hash_file(path, &have, NULL, err) < 0)
        return -1;
    return digest_equal(want, &have)
               ? 0
               : err_set(err, ERR_UNTRUSTED, "%s was changed after it was signed", path);
}

static int compare(const char *path, const char *signature, bool unsigned_too,
                   const struct oms_statement *statement, struct err *err)
{
    if (is_file(path) && names_file(statement, path))
        return compare_file(&statement->resources[0].digest, path, err);
    cleanup_oms_statement struct oms_statement found = {0};
    for (size_t i = 0; i < statement->ignored_count; i++)
        if (oms_statement_ignore(&found, statement->ignored[i], err) < 0)
            return -1;
    if (oms_list_files(path, signature, &found, err) < 0)
        return -1;
    return oms_compare(statement, &found, unsigned_too, err);
}

int oms_verify_model(const char *path, const char *signature, const struct oms_believed *believed,
                     bool unsigned_too, struct oms_statement *out, struct oms_signer *who, struct err *err)
{
    if (open_file(signature, believed, out, who, err) < 0)
        return -1;
    if (compare(path, signature, unsigned_too, out, err) == 0)
        return 0;
    oms_statement_fini(out);
    return -1;
}

static const struct oms_resource *find_file(const struct oms_statement *statement, const char *path,
                                            const char *signature)
{
    struct err ignored = {0};
    if (names_file(statement, path))
        return &statement->resources[0];
    cleanup_free char *real = real_path(path, &ignored);
    cleanup_free char *folder = real_path(signature, &ignored);
    if (!real || !folder)
        return NULL;
    char *slash = strrchr(folder, '/');
    *slash = '\0';
    const char *name = inside(folder, real);
    return name ? oms_statement_find(statement, name) : NULL;
}

int oms_verify_file(const char *path, const char *signature, const struct oms_believed *believed,
                    struct err *err)
{
    cleanup_oms_statement struct oms_statement statement = {0};
    if (open_file(signature, believed, &statement, NULL, err) < 0)
        return -1;
    const struct oms_resource *resource = find_file(&statement, path, signature);
    if (!resource)
        return err_set(err, ERR_UNTRUSTED, "%s is not among the files that %s signs", path, signature);
    return compare_file(&resource->digest, path, err);
}
