/* The files of web/dist, compiled in (embed.cmake). Empty if the console was not built. */
#ifndef MUSTER_FLEET_CONSOLE_ASSETS_H
#define MUSTER_FLEET_CONSOLE_ASSETS_H

#include <stddef.h>

struct console_asset {
    const char *path; /* "/index.html" */
    const char *type; /* "text/html; charset=utf-8" */
    const char *etag; /* with its quotes */
    const unsigned char *plain, *gzip;
    size_t plain_len, gzip_len;
};

extern const struct console_asset console_assets[];
extern const size_t console_asset_count;

#endif
