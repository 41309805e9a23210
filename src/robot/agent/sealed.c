#include "robot/agent/sealed.h"

#include "base/mem.h"
#include "sys/file.h"
#include "trust/seal/grant.h"

#include <fcntl.h>

char *sealed_grants_path(const char *grants, const struct digest *release)
{
    struct digest_text text = digest_format(release);
    return mem_printf("%s/%s.json", grants, digest_hex(&text));
}

static int open_grants(const struct sealed_options *options, const struct digest *release, const void *text,
                       size_t len, struct seal_key *out, struct err *err)
{
    cleanup_grants struct grants grants = {0};
    if (grants_parse(text, len, &grants, err) < 0)
        return -1;
    if (!digest_equal(&grants.release, release))
        return err_set(err, ERR_INVALID, "these grants are of another release");
    return grant_unwrap(&grants, options->robot, options->device_key, out, err);
}

/* A pipe takes this much without a reader. */
static int put_into_pipe(const struct seal_key *key, int *out_fd, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, "a pipe for the content key");
    cleanup_close int write_end = ends[1];
    cleanup_close int read_end = ends[0];
    if (write(write_end, key->bytes, sizeof key->bytes) != (ssize_t)sizeof key->bytes)
        return err_errno(err, "the content key's pipe");
    *out_fd = TAKE_FD(read_end);
    return 0;
}

int sealed_content_key(const struct sealed_options *options, const struct image *image, int *out_fd,
                       struct err *err)
{
    *out_fd = -1;
    if (!image_is_sealed(image))
        return 0;
    if (!options->grants || !options->robot || !options->device_key)
        return err_set(err, ERR_UNSUPPORTED, "the weights are sealed, and this robot takes no grants");
    cleanup_free char *path = sealed_grants_path(options->grants, &image->digest);
    cleanup_buf struct buf text = BUF_INIT(GRANTS_MAX_BYTES);
    cleanup_seal_key struct seal_key key = {{0}};
    if (!path)
        return err_no_memory(err);
    if (file_read(path, &text, err) < 0) {
        if (err->code == ERR_NOT_FOUND)
            err_set(err, ERR_NOT_FOUND, "the weights are sealed, and no grants of them are here");
        return -1;
    }
    if (open_grants(options, &image->digest, text.data, text.len, &key, err) < 0)
        return -1;
    return put_into_pipe(&key, out_fd, err);
}
