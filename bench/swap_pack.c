#include "base/mem.h"
#include "bench/swap.h"
#include "forge/pack.h"
#include "release/image.h"
#include "sys/file.h"

#include <sys/wait.h>

struct copying {
    const char *from, *to;
    struct err *err;
};

static int copy_blob(const char *name, void *arg)
{
    const struct copying *copying = arg;
    struct digest digest;
    uint64_t size;
    cleanup_free char *path = mem_printf("%s/blobs/sha256/%s", copying->from, name);
    return path ? layout_add_file(copying->to, path, &digest, &size, copying->err)
                : err_no_memory(copying->err);
}

static int add_release(const char *dir, const char *layout, const char *yaml, size_t index, struct err *err)
{
    struct pack_report report;
    cleanup_free char *from = mem_printf("%s/pack-%zu", dir, index);
    cleanup_free char *blobs = from ? file_join(from, "blobs/sha256") : NULL;
    cleanup_free struct oci_index *list = mem_zalloc(1, sizeof *list);
    if (!blobs || !list)
        return err_no_memory(err);
    struct copying copying = {.from = from, .to = layout, .err = err};
    if (pack_release(yaml, from, &(struct pack_options){0}, &report, err) < 0 ||
        file_list(blobs, copy_blob, &copying, err) < 0 || layout_read_index(from, list, err) < 0)
        return -1;
    return layout_add_manifest(layout, &list->manifests[0], err);
}

static int pack_both(const char *dir, const char *layout, struct err *err)
{
    if (layout_init(layout, err) < 0 ||
        add_release(dir, layout, MUSTER_MODELS "/detector-1.0.0/release.yaml", 0, err) < 0)
        return -1;
    return add_release(dir, layout, MUSTER_MODELS "/detector-2.0.0/release.yaml", 1, err);
}

/* In a child: packing runs the model, and its memory is none of the agent's. */
int swap_pack(const char *dir, const char *layout, struct digest releases[2], struct err *err)
{
    int status;
    cleanup_free struct oci_index *list = mem_zalloc(1, sizeof *list);
    pid_t child = list ? fork() : -1;
    if (child < 0)
        return err_errno(err, "fork");
    if (child == 0) {
        int done = pack_both(dir, layout, err);
        if (done < 0)
            fprintf(stderr, "bench-swap: %s\n", err->text);
        _exit(done < 0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        return err_set(err, ERR_IO, "the releases could not be packed");
    if (layout_read_index(layout, list, err) < 0)
        return -1;
    for (size_t i = 0; i < 2; i++)
        releases[i] = list->manifests[i].digest;
    return 0;
}
