/* The sources a board is asked. Each has `find` (once, and every ten minutes: devices come and go) and `read` (each second).
 *
 * A source that takes longer than BOARD_SLOW_NS (a sensor behind a sick bus) is asked only every BOARD_SLOW_TURNS seconds; its numbers are absent
 * in between.
 */
#ifndef MUSTER_ROBOT_BOARD_INSIDE_H
#define MUSTER_ROBOT_BOARD_INSIDE_H

#include "robot/board/board.h"
#include "robot/board/tree.h"

enum { BOARD_SLOW_NS = 20000000, BOARD_SLOW_TURNS = 60, BOARD_FIND_TURNS = 600 };
enum { BOARD_PATH_SIZE = 192, BOARD_POLICIES = 16, BOARD_COOLERS = 32, BOARD_BATTERIES = 4 };

/* What is read each second: a label and where its number stands. */
struct board_place {
    char label[32];
    char path[BOARD_PATH_SIZE];
    char path_2[BOARD_PATH_SIZE]; /* rails: current, where `path` is a voltage; "" none */
    double scale;
};

struct board_places {
    size_t count;
    struct board_place at[32];
};

struct board_counter { /* something that only grows, and when it was read; rate by two looks */
    double last;
    int64_t at_ms;
    bool known;
};

struct board_nvml;

struct board {
    struct tree tree;
    char *state_dir;
    uint64_t turn;
    unsigned skip[16]; /* turns until a slow source is asked again */
    char model[64], platform[64];

    struct board_counter cpu_busy, cpu_total;
    double cpu_hz_fixed;
    size_t policy_count;
    char policies[BOARD_POLICIES][TREE_NAME_SIZE];

    char group[BOARD_PATH_SIZE]; /* folder of our own cgroup's memory; "" none */
    bool group_v2;

    struct board_places zones, rails, engines;
    size_t cooler_count;
    char coolers[BOARD_COOLERS][TREE_NAME_SIZE];
    bool has_rpi_throttle, has_x86_throttle;
    char rpi_volt[TREE_NAME_SIZE]; /* hwmon of the undervoltage alarm */
    struct board_counter x86_throttle;

    char gpu_load[BOARD_PATH_SIZE], gpu_hz[BOARD_PATH_SIZE], gpu_memory[BOARD_PATH_SIZE];
    double gpu_load_scale, gpu_hz_scale;
    struct board_nvml *nvml;

    size_t battery_count;
    char batteries[BOARD_BATTERIES][TREE_NAME_SIZE];

    char link[TREE_NAME_SIZE];
    struct board_counter link_rx, link_tx;
};

struct board_source {
    void (*find)(struct board *board);
    void (*read)(struct board *board, int64_t now_ms, struct board_sample *out);
};

extern const struct board_source board_identity, board_cpu, board_memory, board_thermal, board_throttle,
    board_power, board_gpu, board_engines, board_battery, board_link, board_disk;

/* Growth per second since the last look; NaN at the first one, and when it ran backwards. */
double board_counter_rate(struct board_counter *counter, double value, int64_t now_ms);
bool board_place_add(struct board_places *places, const char *label, double scale, const char *path_format,
                     ...) __attribute__((format(printf, 4, 5)));
bool board_named_add(struct board_named *list, size_t *count, size_t max, const char *name, double value);

/* NVIDIA's own library, where the kernel says nothing of a GPU. NULL where there is none. */
struct board_nvml *board_nvml_open(void);
void board_nvml_free(struct board_nvml *nvml);
void board_nvml_read(struct board_nvml *nvml, struct board_sample *out);

#endif
