#include "cli/demo/lines.h"
#include "base/mem.h"

#include <stdio.h>

enum { MAX_LINE = 1 << 16 };

static void one(char *line, size_t len, void (*visit)(struct json_at root, void *arg), void *arg)
{
    struct json_reader reader;
    struct err ignored = {0};
    if (json_read(&reader, "line", line, len, &ignored) < 0)
        return; /* torn: its writer was killed */
    visit(json_root(&reader), arg);
    if (json_finish(&reader, &ignored) < 0)
        return;
}

int lines_read(const char *path, long *offset, void (*visit)(struct json_at root, void *arg), void *arg,
               struct err *err)
{
    cleanup_file FILE *file = fopen(path, "re");
    cleanup_free char *line = mem_zalloc(MAX_LINE, 1);
    if (!line)
        return err_no_memory(err);
    if (!file || fseek(file, *offset, SEEK_SET) != 0)
        return 0;
    while (fgets(line, MAX_LINE, file)) {
        size_t len = strlen(line);
        if (!len || line[len - 1] != '\n')
            break; /* not whole yet */
        one(line, len, visit, arg);
        *offset += (long)len;
    }
    return 0;
}
