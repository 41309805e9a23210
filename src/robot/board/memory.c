/* Memory of the machine and of our own control group.
 *
 *     v2       0::/system.slice/x      /sys/fs/cgroup/system.slice/x/{memory.current,memory.events}
 *     v1       7:memory:/system.slice  /sys/fs/cgroup/memory/system.slice/{memory.usage_in_bytes,memory.oom_control}
 *     hybrid   both lines: memory is where its controller is, and that is v1
 */
#include "base/str.h"
#include "robot/board/inside.h"

#include <math.h>
#include <string.h>

/* Takes a line "N:controllers:/path" apart in place; false if it is none. */
static bool split_line(char *line, char **out_controllers, char **out_path)
{
    char *first = strchr(line, ':');
    char *second = first ? strchr(first + 1, ':') : NULL;
    if (!second || second[1] != '/')
        return false;
    *second = '\0';
    *out_controllers = first + 1;
    *out_path = second + 1;
    return strstr(*out_path, "..") == NULL; /* outside of our namespace */
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += len)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
            return true;
    return false;
}

static void take_group(struct board *board, const char *controllers, const char *path)
{
    if (has_word(controllers, "memory")) {
        board->group_v2 = false;
        snprintf(board->group, sizeof board->group, "sys/fs/cgroup/memory%s", path);
    } else if (!*controllers && !board->group[0] &&
               tree_exists(&board->tree, "sys/fs/cgroup/cgroup.controllers")) {
        board->group_v2 = true;
        snprintf(board->group, sizeof board->group, "sys/fs/cgroup%s", path);
    }
}

static void find(struct board *board)
{
    char text[TREE_READ_BYTES];
    board->group[0] = '\0';
    tree_text(&board->tree, text, sizeof text, "proc/self/cgroup");
    char *save = NULL, *controllers, *path;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (split_line(line, &controllers, &path))
            take_group(board, controllers, path);
}

/* "Name:   123 kB" in bytes; NaN if it is not there. */
static double kib_field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    double kib;
    if (!at || sscanf(at + strlen(name), "%lf", &kib) != 1 || !(kib >= 0))
        return NAN;
    return kib * 1024;
}

static double count_field(const char *text, const char *name)
{
    for (const char *at = text; (at = strstr(at, name)); at++) {
        double count;
        if ((at == text || at[-1] == '\n') && sscanf(at + strlen(name), " %lf", &count) == 1 && count >= 0)
            return count;
    }
    return NAN;
}

static void read_group(const struct board *board, struct board_sample *out)
{
    char text[512];
    double bytes;
    if (!board->group[0])
        return;
    if (tree_number(&board->tree, &bytes, "%s/%s", board->group,
                    board->group_v2 ? "memory.current" : "memory.usage_in_bytes"))
        out->group_memory_bytes = bytes;
    if (tree_text(&board->tree, text, sizeof text, "%s/%s", board->group,
                  board->group_v2 ? "memory.events" : "memory.oom_control"))
        out->group_oom_kills = count_field(text, "oom_kill ");
}

static void read_memory(struct board *board, int64_t now_ms, struct board_sample *out)
{
    (void)now_ms;
    char text[TREE_READ_BYTES];
    if (tree_text(&board->tree, text, sizeof text, "proc/meminfo")) {
        out->memory_total_bytes = kib_field(text, "MemTotal:");
        out->memory_available_bytes = kib_field(text, "MemAvailable:");
        out->swap_used_bytes = kib_field(text, "SwapTotal:") - kib_field(text, "SwapFree:");
    }
    read_group(board, out);
}

const struct board_source board_memory = {.find = find, .read = read_memory};
