#include "cli/chain.h"

#include "base/mem.h"
#include "cli/station.h"
#include "sys/file.h"

enum { ROOT_MAX = 512000 };

static int read_repo(void *arg, const char *name, struct buf *out, struct err *err)
{
    return repo_read(arg, name, out, err);
}

static int read_server(void *arg, const char *name, struct buf *out, struct err *err)
{
    cleanup_free char *path = mem_printf("/api/v1/tuf/%s", name);
    return path ? client_download(arg, path, out, err) : err_no_memory(err);
}

struct chain_source chain_of_repo(struct repo *repo)
{
    return (struct chain_source){.read = read_repo, .arg = repo};
}

struct chain_source chain_of_server(struct client *client)
{
    return (struct chain_source){.read = read_server, .arg = client};
}

void chain_fini(struct chain *chain)
{
    if (chain->update)
        tuf_update_free(chain->update);
    if (chain->shelf)
        tuf_shelf_free(chain->shelf);
    *chain = (struct chain){0};
}

const struct tuf_target *chain_target(const struct chain *chain)
{
    return tuf_update_target(chain->update);
}

const struct tuf_metadata *chain_role(const struct chain *chain, const char *role)
{
    return tuf_update_role(chain->update, role);
}

int chain_read_root(const char *root_path, struct buf *out, struct err *err)
{
    if (file_read(root_path, out, err) == 0)
        return 0;
    return err->code == ERR_NOT_FOUND
               ? err_set(err, ERR_NOT_FOUND,
                         "no root of trust %s; muster keys init made it, give it by --root FILE", root_path)
               : -1;
}

static int feed(struct tuf_update *update, const struct chain_source *source, const struct tuf_want *want,
                struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT((size_t)want->max_bytes + 1);
    if (source->read(source->arg, want->name, &bytes, err) == 0 && bytes.len <= want->max_bytes) {
        tuf_update_give(update, buf_text(&bytes), bytes.len);
        return 0;
    }
    if (err->code == ERR_NOT_FOUND || err->code == ERR_DENIED)
        tuf_update_lack(update);
    else if (err->code == ERR_NONE || err->code == ERR_TOO_BIG)
        tuf_update_overflow(update);
    else
        return -1;
    *err = (struct err){0};
    return 0;
}

static int begin(const char *root_path, struct chain *chain, struct err *err)
{
    cleanup_buf struct buf root = BUF_INIT(ROOT_MAX);
    const struct tuf_update_options options = {.shelf = chain->shelf, .now_s = station_now_s()};
    if (!chain->shelf)
        return err_no_memory(err);
    if (chain_read_root(root_path, &root, err) < 0)
        return -1;
    if (tuf_trust(chain->shelf, buf_text(&root), root.len, err) < 0)
        return err_prefix(err, "%s", root_path);
    return tuf_update_new(&options, &chain->update, err);
}

int chain_seek(const char *root_path, const struct chain_source *source, const char *path, struct chain *out,
               struct err *err)
{
    struct tuf_want want;
    enum tuf_step step;
    *out = (struct chain){.shelf = tuf_shelf_memory()};
    if (begin(root_path, out, err) < 0)
        return -1;
    if (path)
        tuf_update_seek(out->update, path);
    else
        tuf_update_refresh(out->update);
    while ((step = tuf_update_step(out->update, &want, err)) == TUF_WANT)
        if (feed(out->update, source, &want, err) < 0)
            return -1;
    return step == TUF_DONE ? 0 : -1;
}
