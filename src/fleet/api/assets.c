/* The console's files: compiled in, compressed, and never changing while the server runs. */
#include "fleet/console/assets.h"
#include "base/str.h"
#include "fleet/api/call.h"

static const char missing_page[] =
    "<!doctype html><meta charset=utf-8><title>Muster</title>"
    "<p>The console was not built into this server: run <code>make console</code> and "
    "build again. The API is at <code>/api/v1</code>.\n";

static const char policy[] =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

static const struct console_asset *find(const char *path)
{
    if (str_eq(path, "/"))
        path = "/index.html";
    for (size_t i = 0; i < console_asset_count; i++)
        if (str_eq(console_assets[i].path, path))
            return &console_assets[i];
    return NULL;
}

static void set_headers(struct http_request *request)
{
    http_set_header(request, "Content-Security-Policy", policy);
    http_set_header(request, "Referrer-Policy", "no-referrer");
}

static bool takes_gzip(const struct http_request *request)
{
    const char *accept = http_header(request, "Accept-Encoding");
    return accept && strstr(accept, "gzip");
}

static void reply_asset(struct call *call, const struct console_asset *asset)
{
    const char *known = http_header(call->request, "If-None-Match");
    bool hashed = str_starts(asset->path, "/assets/"); /* the name changes with the content */
    http_set_header(call->request, "ETag", asset->etag);
    http_set_header(call->request, "Vary", "Accept-Encoding");
    http_set_header(call->request, "Cache-Control",
                    hashed ? "public, max-age=31536000, immutable" : "no-cache");
    call->taken = true;
    if (known && str_eq(known, asset->etag)) {
        http_reply(call->request, 304, asset->type, NULL, 0);
    } else if (takes_gzip(call->request)) {
        http_set_header(call->request, "Content-Encoding", "gzip");
        http_reply(call->request, 200, asset->type, asset->gzip, asset->gzip_len);
    } else {
        http_reply(call->request, 200, asset->type, asset->plain, asset->plain_len);
    }
}

int asset_get(struct call *call, struct err *err)
{
    const char *path = http_request_path(call->request);
    const struct console_asset *asset = find(path);
    set_headers(call->request);
    if (asset) {
        reply_asset(call, asset);
        return 0;
    }
    if (!str_eq(path, "/") && !str_eq(path, "/index.html"))
        return err_set(err, ERR_NOT_FOUND, "no such page");
    call->taken = true;
    http_reply(call->request, 200, "text/html; charset=utf-8", missing_page, sizeof missing_page - 1);
    return 0;
}
