#include "release/blob.h"

#include "base/mem.h"
#include "base/str.h"
#include "release/image.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/oms.h"

char *image_blob_path(const char *dir, const struct digest *digest)
{
    struct digest_text text = digest_format(digest);
    return mem_printf("%s/blobs/sha256/%s", dir, digest_hex(&text));
}

static int check_size(uint64_t size, const struct oci_descriptor *descriptor, struct err *err)
{
    if (size == descriptor->size)
        return 0;
    return err_set(err, ERR_CORRUPT, "size is %llu bytes, the release says %llu; get the release again",
                   (unsigned long long)size, (unsigned long long)descriptor->size);
}

static int check_digest(const struct digest *digest, const struct oci_descriptor *descriptor, struct err *err)
{
    if (digest_equal(digest, &descriptor->digest))
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "content does not have this digest, it was damaged or changed; get the release again");
}

static int prefix_blob(struct err *err, const struct oci_descriptor *descriptor, const char *what)
{
    struct digest_text text = digest_format(&descriptor->digest);
    if (err->code == ERR_NOT_FOUND)
        err_set(err, ERR_CORRUPT, "missing; get the release again");
    return err_prefix(err, "%s (blob %.19s…)", what, text.text);
}

static int read_checked(const char *dir, const struct oci_descriptor *descriptor, struct buf *out,
                        struct err *err)
{
    cleanup_free char *path = image_blob_path(dir, &descriptor->digest);
    if (!path)
        return err_no_memory(err);
    size_t start = out->len;
    if (file_read(path, out, err) < 0 || check_size(out->len - start, descriptor, err) < 0)
        return -1;
    struct digest digest = hash_bytes(buf_text(out) + start, out->len - start);
    return check_digest(&digest, descriptor, err);
}

int blob_read(const char *dir, const struct oci_descriptor *descriptor, struct buf *out, struct err *err)
{
    if (read_checked(dir, descriptor, out, err) < 0)
        return prefix_blob(err, descriptor, descriptor->filepath[0] ? descriptor->filepath : "document");
    return 0;
}

static int hash_checked(const char *dir, const struct oci_descriptor *descriptor, struct err *err)
{
    cleanup_free char *path = image_blob_path(dir, &descriptor->digest);
    if (!path)
        return err_no_memory(err);
    uint64_t size = 0; /* first, so that a far too big file is not read at all */
    if (file_size(path, &size, err) < 0 || check_size(size, descriptor, err) < 0)
        return -1;
    struct digest digest;
    if (hash_file(path, &digest, &size, err) < 0 || check_size(size, descriptor, err) < 0)
        return -1;
    return check_digest(&digest, descriptor, err);
}

int blob_check(const char *dir, const struct oci_descriptor *descriptor, const char *what, struct err *err)
{
    if (hash_checked(dir, descriptor, err) < 0)
        return prefix_blob(err, descriptor, what);
    return 0;
}

static int read_manifest(const char *dir, const struct oci_descriptor *descriptor, struct oci_manifest *out,
                         struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(OCI_MAX_MANIFEST_BYTES);
    if (read_checked(dir, descriptor, &text, err) < 0)
        return -1;
    if (oci_manifest_parse(text.data, text.len, out, err) < 0)
        return -1;
    if (descriptor->artifact_type[0] && !str_eq(descriptor->artifact_type, out->artifact_type))
        return err_set(err, ERR_CORRUPT, "artifactType is %s, index.json says %s", out->artifact_type,
                       descriptor->artifact_type);
    return 0;
}

int blob_read_manifest(const char *dir, const struct oci_descriptor *descriptor, struct oci_manifest *out,
                       struct err *err)
{
    if (!str_eq(descriptor->media_type, OCI_MANIFEST_TYPE))
        return err_set(err, ERR_INVALID, "index.json: %.60s is no image manifest", descriptor->media_type);
    if (read_manifest(dir, descriptor, out, err) < 0)
        return prefix_blob(err, descriptor, "manifest");
    return 0;
}

bool blob_refers(const struct oci_manifest *manifest, const struct digest *subject)
{
    return manifest->has_subject && digest_equal(&manifest->subject.digest, subject) &&
           str_eq(manifest->artifact_type, OMS_BUNDLE_TYPE);
}
