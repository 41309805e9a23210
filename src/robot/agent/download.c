#include "robot/agent/download.h"

#include "base/buf.h"
#include "base/str.h"
#include "release/image.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/oci.h"

enum step { STEP_MANIFEST, STEP_BLOBS };

struct download {
    struct download_options options;
    struct digest release;
    uint64_t size, bytes;
    enum step step;
    struct oci_manifest manifest;
    size_t next_blob; /* 0: config, then the layers */

    int transfer;  /* id; 0: none */
    bool answered; /* it ended, with `result` */
    struct err result;
    struct partial *partial; /* of the blob on its way */
    bool resumed;
};

int download_new(const struct download_options *options, const struct digest *release, uint64_t size,
                 struct download **out, struct err *err)
{
    if (size == 0 || size > OCI_MAX_MANIFEST_BYTES)
        return err_set(err, ERR_INVALID, "a manifest of %llu bytes is not possible",
                       (unsigned long long)size);
    struct download *download = mem_zalloc(1, sizeof *download);
    if (!download)
        return err_no_memory(err);
    download->options = *options;
    download->release = *release;
    download->size = size;
    *out = download;
    return 0;
}

void download_free(struct download *download)
{
    if (!download)
        return;
    if (download->transfer)
        fetch_cancel(download->options.fetch, download->transfer);
    partial_free(download->partial);
    free(download);
}

uint64_t download_bytes(const struct download *download)
{
    return download->bytes;
}

/* Transfers. */

static int take_piece(const void *data, size_t len, void *arg, struct err *err)
{
    struct download *download = arg;
    download->bytes += len;
    return partial_write(download->partial, data, len, err);
}

static void on_done(const struct fetch_response *response, void *arg)
{
    struct download *download = arg;
    download->transfer = 0;
    download->answered = true;
    download->result = response->err;
}

static int start(struct download *download, const char *path, uint64_t from, uint64_t max_bytes,
                 struct err *err)
{
    cleanup_free char *url = mem_printf("%s%s", download->options.server, path);
    if (!url)
        return err_no_memory(err);
    struct fetch_request request = {
        .method = "GET",
        .url = url,
        .stall_s = download->options.stall_s,
        .max_bytes = max_bytes,
        .resume_from = from,
        .rate_limit = download->options.rate_limit,
        .sink = take_piece,
        .sink_arg = download,
    };
    download->answered = false;
    return fetch_start(download->options.fetch, &request, on_done, download, &download->transfer, err);
}

static int end_blob(struct download *download, struct err *err)
{
    int rc = partial_finish(download->partial, err);
    partial_free(TAKE_PTR(download->partial));
    return rc;
}

/* 1: on its way; 0: it is in the store now. */
static int fetch_blob(struct download *download, const struct digest *digest, uint64_t size, struct err *err)
{
    uint64_t have = 0;
    char path[128];
    struct digest_text text = digest_format(digest);
    if (partial_open(download->options.store, digest, size, &download->partial, &have, err) < 0)
        return -1;
    if (have == size)
        return end_blob(download, err);
    download->resumed = have > 0;
    snprintf(path, sizeof path, "/api/v1/blobs/%s", text.text);
    return start(download, path, have, size - have, err) < 0 ? -1 : 1;
}

/* What a blob in the store is worth: 1 sound, 0 missing (or rotten, and removed). */
static int look_up(struct download *download, const struct digest *digest, uint64_t size, struct err *err)
{
    struct store *store = download->options.store;
    if (!store_has_blob(store, digest, size))
        return 0;
    cleanup_free char *path = image_blob_path(store_layout(store), digest);
    struct digest found;
    if (!path)
        return err_no_memory(err);
    if (hash_file(path, &found, NULL, err) < 0)
        return -1;
    if (digest_equal(&found, digest))
        return 1;
    return store_drop_blob(store, digest, err);
}

/* 1: on its way; 0: in the store. */
static int need_blob(struct download *download, const struct digest *digest, uint64_t size, struct err *err)
{
    int there = look_up(download, digest, size, err);
    if (there < 0)
        return -1;
    return there ? 0 : fetch_blob(download, digest, size, err);
}

/* Steps. Each returns 1 while something is on its way, 0 when it is done. */

static int read_manifest(struct download *download, struct err *err)
{
    cleanup_free char *path = image_blob_path(store_layout(download->options.store), &download->release);
    cleanup_buf struct buf text = BUF_INIT(OCI_MAX_MANIFEST_BYTES);
    if (!path)
        return err_no_memory(err);
    if (file_read(path, &text, err) < 0 ||
        oci_manifest_parse(text.data, text.len, &download->manifest, err) < 0)
        return -1;
    return store_add_release(download->options.store, &download->release, download->size, err);
}

static int step_manifest(struct download *download, struct err *err)
{
    int rc = need_blob(download, &download->release, download->size, err);
    return rc != 0 ? rc : read_manifest(download, err);
}

static const struct oci_descriptor *blob_at(const struct download *download, size_t index)
{
    if (index == 0)
        return &download->manifest.config;
    return index <= download->manifest.layer_count ? &download->manifest.layers[index - 1] : NULL;
}

static bool is_of_use(const struct download *download, const struct oci_descriptor *blob)
{
    return image_uses_layer(&download->options.use, blob);
}

static int check_space(const struct download *download, struct err *err)
{
    uint64_t total = 0;
    const struct oci_descriptor *blob;
    for (size_t i = 0; (blob = blob_at(download, i)); i++) {
        if (!is_of_use(download, blob) || store_has_blob(download->options.store, &blob->digest, blob->size))
            continue;
        if (blob->size > UINT64_MAX / 2 - total)
            return err_set(err, ERR_INVALID, "the manifest names more bytes than there can be");
        total += blob->size;
    }
    return store_check_space(download->options.store, total, err);
}

static int step_blobs(struct download *download, struct err *err)
{
    if (download->next_blob == 0 && check_space(download, err) < 0)
        return -1;
    const struct oci_descriptor *blob;
    while ((blob = blob_at(download, download->next_blob))) {
        int rc = is_of_use(download, blob) ? need_blob(download, &blob->digest, blob->size, err) : 0;
        if (rc != 0)
            return rc;
        download->next_blob++;
    }
    return 0;
}

/* What ended: the blob moves in, or its error is the download's. */
static int take_answer(struct download *download, struct err *err)
{
    download->answered = false;
    if (download->result.code == ERR_NONE)
        return end_blob(download, err);
    *err = download->result;
    if (download->resumed && err->code == ERR_CONFLICT) {
        struct err ignored = {0};
        if (partial_discard(download->partial, &ignored) < 0)
            *err = ignored;
    }
    partial_free(TAKE_PTR(download->partial));
    return -1;
}

enum download_state download_tick(struct download *download, struct err *err)
{
    static int (*const steps[])(struct download *,
                                struct err *) = {[STEP_MANIFEST] = step_manifest, [STEP_BLOBS] = step_blobs};
    if (download->transfer)
        return DOWNLOAD_RUNNING;
    if (download->answered && take_answer(download, err) < 0)
        return DOWNLOAD_FAILED;
    for (;;) {
        int rc = steps[download->step](download, err);
        if (rc < 0)
            return DOWNLOAD_FAILED;
        if (rc > 0)
            return DOWNLOAD_RUNNING;
        if (download->step == STEP_BLOBS)
            return DOWNLOAD_DONE;
        download->step++;
    }
}
