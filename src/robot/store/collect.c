#include "base/buf.h"
#include "base/hex.h"
#include "base/str.h"
#include "release/image.h"
#include "robot/store/inside.h"
#include "sys/file.h"

#include <errno.h>

/* Releases that stay: those the state names. */
static bool is_named(const struct store *store, const struct digest *digest)
{
    const struct install *install = &store->state.install;
    const struct install_slot *slots[] = {&install->current, &install->previous, &install->candidate};
    for (size_t i = 0; i < ARRAY_LEN(slots); i++)
        if (!digest_is_zero(&slots[i]->release) && digest_equal(&slots[i]->release, digest))
            return true;
    return false;
}

static int forget_releases(struct store *store, struct err *err)
{
    cleanup_free struct oci_index *index = mem_zalloc(1, sizeof *index);
    if (!index)
        return err_no_memory(err);
    if (layout_read_index(store->layout, index, err) < 0)
        return -1;
    for (size_t i = 0; i < index->count; i++) {
        const struct oci_descriptor *entry = &index->manifests[i];
        bool release = str_eq(entry->artifact_type, MODELPACK_ARTIFACT_TYPE);
        if (!release || is_named(store, &entry->digest))
            continue;
        if (layout_remove_manifest(store->layout, &entry->digest, err) < 0)
            return -1;
    }
    return 0;
}

/* Partials. */

struct partial_sweep {
    struct store *store;
    const struct oci_manifest *wanted; /* NULL: the candidate's manifest is not there yet */
    int rc;
    struct err *err;
};

static bool is_wanted(const struct partial_sweep *sweep, const char *name)
{
    struct digest digest;
    if (strlen(name) != 64 || !hex_decode(name, 64, digest.bytes))
        return false;
    if (digest_equal(&digest, &sweep->store->state.install.candidate.release))
        return true;
    if (!sweep->wanted)
        return false;
    bool wanted = digest_equal(&digest, &sweep->wanted->config.digest);
    for (size_t i = 0; i < sweep->wanted->layer_count; i++)
        wanted |= digest_equal(&digest, &sweep->wanted->layers[i].digest);
    return wanted;
}

static int sweep_partial(const char *name, void *arg)
{
    struct partial_sweep *sweep = arg;
    if (is_wanted(sweep, name))
        return 0;
    cleanup_free char *path = file_join(sweep->store->partials, name);
    if (!path)
        sweep->rc = err_no_memory(sweep->err);
    else if (unlink(path) < 0 && errno != ENOENT)
        sweep->rc = err_errno(sweep->err, "%s", path);
    return sweep->rc;
}

/* The manifest of the candidate, or NULL if it is not there (yet) or not readable: then nothing waits for its
 * blobs. */
static struct oci_manifest *candidate_manifest(const struct store *store)
{
    const struct install_slot *candidate = &store->state.install.candidate;
    if (digest_is_zero(&candidate->release))
        return NULL;
    cleanup_free char *path = store_blob_path(store, &candidate->release);
    cleanup_buf struct buf text = BUF_INIT(OCI_MAX_MANIFEST_BYTES);
    cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    struct err ignored = {0};
    if (!path || !manifest || file_read(path, &text, &ignored) < 0 ||
        oci_manifest_parse(text.data, text.len, manifest, &ignored) < 0)
        return NULL;
    return TAKE_PTR(manifest);
}

static int forget_partials(struct store *store, struct err *err)
{
    cleanup_free struct oci_manifest *wanted = candidate_manifest(store);
    struct partial_sweep sweep = {.store = store, .wanted = wanted, .err = err};
    if (file_list(store->partials, sweep_partial, &sweep, err) < 0)
        return -1;
    return sweep.rc;
}

int store_collect(struct store *store, uint64_t *out_bytes, struct err *err)
{
    *out_bytes = 0;
    if (forget_partials(store, err) < 0 || forget_releases(store, err) < 0)
        return -1;
    return layout_collect(store->layout, out_bytes, err);
}
