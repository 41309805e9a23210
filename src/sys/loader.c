#include "sys/loader.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/proc.h"

#include <link.h>

enum { LIST_MAX = 64 << 10, LIST_MS = 10000 };

/* The first object is the program itself. */
static int find_interpreter(struct dl_phdr_info *info, size_t size, void *arg)
{
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_INTERP)
            *(const char **)arg = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return 1;
}

const char *loader_path(void)
{
    const char *path = NULL;
    dl_iterate_phdr(find_interpreter, &path);
    return path;
}

static int add(struct loader_list *list, const char *path, size_t len, struct err *err)
{
    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->paths[i], path, len) == 0 && list->paths[i][len] == '\0')
            return 0;
    if (list->count == LOADER_MAX)
        return err_set(err, ERR_TOO_BIG, "more than %d libraries", LOADER_MAX);
    list->paths[list->count] = mem_strndup(path, len);
    return list->paths[list->count++] ? 0 : err_no_memory(err);
}

/* "\tlibm.so.6 => /lib/libm.so.6 (0x7f…)", "\t/lib64/ld.so (0x…)", "\tlinux-vdso.so.1 (0x…)",
 * "\tlibx.so => not found", "\tstatically linked" */
static int take_line(const char *line, const char *file, struct loader_list *out, struct err *err)
{
    static const char arrow[] = " => ";
    while (*line == '\t' || *line == ' ')
        line++;
    const char *found = strstr(line, arrow);
    const char *path = found ? found + strlen(arrow) : line;
    if (str_eq(path, "not found"))
        return err_set(err, ERR_NOT_FOUND, "%s needs %.*s, which is not on this machine; install it", file,
                       (int)(found - line), line);
    const char *end = strstr(path, " (0x");
    if (path[0] != '/' || !end)
        return 0;
    return add(out, path, (size_t)(end - path), err);
}

static int take_lines(char *text, const char *file, struct loader_list *out, struct err *err)
{
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (take_line(line, file, out, err) < 0)
            return -1;
    return 0;
}

int loader_list(const char *file, struct loader_list *out, struct err *err)
{
    const char *loader = loader_path();
    if (!loader)
        return err_set(err, ERR_UNSUPPORTED, "this program has no dynamic loader to ask");
    if (add(out, loader, strlen(loader), err) < 0)
        return -1;
    const char *const argv[] = {loader, "--list", file, NULL};
    cleanup_buf struct buf text = BUF_INIT(LIST_MAX);
    int status = 0;
    if (proc_run(argv, LIST_MS, &text, &status, err) < 0)
        return -1;
    cleanup_free char *lines = buf_take(&text);
    if (!lines)
        return err_no_memory(err);
    if (take_lines(lines, file, out, err) < 0)
        return -1;
    if (status != 0)
        return err_set(err, ERR_INVALID, "%s is no program or library of this machine", file);
    return 0;
}

void loader_list_free(struct loader_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    list->count = 0;
}
