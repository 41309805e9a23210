/* Which board and which system: read once. */
#include "base/str.h"
#include "robot/board/inside.h"

#include <stdlib.h>
#include <string.h>

static void find_model(struct board *board)
{
    char vendor[64], product[64];
    if (tree_line(&board->tree, board->model, sizeof board->model, "sys/firmware/devicetree/base/model"))
        return;
    bool has_vendor = tree_line(&board->tree, vendor, sizeof vendor, "sys/class/dmi/id/sys_vendor");
    bool has_product = tree_line(&board->tree, product, sizeof product, "sys/class/dmi/id/product_name");
    if (has_vendor || has_product) {
        cleanup_free char *both = mem_printf("%s%s%s", vendor, has_vendor && has_product ? " " : "", product);
        str_copy(board->model, sizeof board->model, both ? both : "");
    }
}

/* "# R36 (release), REVISION: 4.0, GCID: ..." */
static bool find_l4t(struct board *board)
{
    char text[256];
    unsigned major, minor, patch;
    if (!tree_text(&board->tree, text, sizeof text, "etc/nv_tegra_release") ||
        sscanf(text, "# R%3u (release), REVISION: %3u.%3u", &major, &minor, &patch) != 3)
        return false;
    snprintf(board->platform, sizeof board->platform, "L4T %u.%u.%u", major, minor, patch);
    return true;
}

static void find_system(struct board *board)
{
    char text[TREE_READ_BYTES];
    if (!tree_text(&board->tree, text, sizeof text, "etc/os-release"))
        return;
    const char *name = strstr(text, "PRETTY_NAME=");
    if (!name)
        return;
    name += strlen("PRETTY_NAME=");
    name += *name == '"' || *name == '\'';
    cleanup_free char *word = mem_strndup(name, strcspn(name, "\"'\n"));
    str_copy(board->platform, sizeof board->platform, word ? word : "");
}

static void find(struct board *board)
{
    board->model[0] = board->platform[0] = '\0';
    find_model(board);
    if (!find_l4t(board))
        find_system(board);
}

static void read_identity(struct board *board, int64_t now_ms, struct board_sample *out)
{
    (void)now_ms;
    str_copy(out->model, sizeof out->model, board->model);
    str_copy(out->platform, sizeof out->platform, board->platform);
}

const struct board_source board_identity = {.find = find, .read = read_identity};
