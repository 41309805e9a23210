/* The link to the fleet: the interface of the default route, else the first with a carrier that is neither loopback nor a bridge. And the disk. */
#include "base/str.h"
#include "robot/board/inside.h"

#include <math.h>
#include <string.h>
#include <sys/statvfs.h>

/* "wlan0  00000000  0101A8C0  0003  0  0  600 …": the default route of the lowest metric that is up. */
static bool find_route(const struct board *board, char out[TREE_NAME_SIZE])
{
    char text[TREE_READ_BYTES], *save = NULL;
    long best = -1;
    tree_text(&board->tree, text, sizeof text, "proc/net/route");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char name[TREE_NAME_SIZE];
        unsigned long to, via, flags;
        long metric;
        if (sscanf(line, "%47s %lx %lx %lx %*d %*d %ld", name, &to, &via, &flags, &metric) == 5 && to == 0 &&
            (flags & 1) && (best < 0 || metric < best) && !strchr(name, '/')) {
            best = metric;
            str_copy(out, TREE_NAME_SIZE, name);
        }
    }
    return best >= 0;
}

static bool has_carrier(const struct board *board, const char *name)
{
    double carrier;
    return tree_number(&board->tree, &carrier, "sys/class/net/%s/carrier", name) && carrier == 1;
}

static void find_link(struct board *board)
{
    struct tree_names found;
    char link[TREE_NAME_SIZE] = "";
    bool routed = find_route(board, link);
    tree_list(&board->tree, &found, "", "sys/class/net");
    for (size_t i = 0; !routed && i < found.count; i++) {
        const char *name = found.names[i];
        bool real = tree_exists(&board->tree, "sys/class/net/%s/device", name);
        if (real && (!link[0] || (has_carrier(board, name) && !has_carrier(board, link))))
            str_copy(link, sizeof link, name);
    }
    if (str_eq(link, board->link))
        return;
    str_copy(board->link, sizeof board->link, link);
    board->link_rx.known = board->link_tx.known = false;
}

/* " wlan0: 0000   54.  -56.  -256 …": the level in dBm, where the driver means dBm (negative). */
static double signal_dbm(const struct board *board)
{
    char text[1024];
    if (!tree_text(&board->tree, text, sizeof text, "proc/net/wireless"))
        return NAN;
    cleanup_free char *name = mem_printf("%s:", board->link);
    const char *at = name ? strstr(text, name) : NULL;
    double level;
    if (!at || (at != text && at[-1] != ' ' && at[-1] != '\n') ||
        sscanf(at + strlen(name), "%*x %*f %lf", &level) != 1 || level >= 0 || level < -200)
        return NAN;
    return level;
}

static void read_link(struct board *board, int64_t now_ms, struct board_sample *out)
{
    char state[16];
    double bytes;
    if (!board->link[0]) {
        find_link(board); /* cheap, and a link that comes back is worth it */
        if (!board->link[0])
            return;
    }
    if (tree_text(&board->tree, state, sizeof state, "sys/class/net/%s/operstate", board->link))
        out->link_up = str_eq(state, "up") || (str_eq(state, "unknown") && has_carrier(board, board->link));
    if (tree_number(&board->tree, &bytes, "sys/class/net/%s/statistics/rx_bytes", board->link))
        out->link_rx_bps = 8 * board_counter_rate(&board->link_rx, bytes, now_ms);
    if (tree_number(&board->tree, &bytes, "sys/class/net/%s/statistics/tx_bytes", board->link))
        out->link_tx_bps = 8 * board_counter_rate(&board->link_tx, bytes, now_ms);
    out->link_signal_dbm = signal_dbm(board);
    if (out->link_up != 1)
        find_link(board);
}

const struct board_source board_link = {.find = find_link, .read = read_link};

static void read_disk(struct board *board, int64_t now_ms, struct board_sample *out)
{
    (void)now_ms;
    struct statvfs fs;
    if (!board->state_dir[0] || statvfs(board->state_dir, &fs) < 0)
        return;
    out->disk_total_bytes = (double)fs.f_blocks * (double)fs.f_frsize;
    out->disk_free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
}

const struct board_source board_disk = {.read = read_disk};
