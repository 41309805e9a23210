/* How the machine is: load, memory, accelerator, temperatures, throttling, power, battery, disk, link. From /proc, /sys and cgroup files alone, no
 * subprocess, no library of a vendor (but NVML, opened with dlopen, where the kernel says nothing). Every path goes through a root prefix, so that
 * boards can be recorded (tests/data/boards/NAME) and replayed.
 *
 * A number that this board does not have is NaN, never 0. Rates (cpu, network, disk) need two looks.
 */
#ifndef MUSTER_ROBOT_BOARD_H
#define MUSTER_ROBOT_BOARD_H

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BOARD_MAX_CORES = 64, BOARD_MAX_ZONES = 24, BOARD_MAX_RAILS = 16, BOARD_MAX_ENGINES = 12 };

struct board_named {
    char name[32];
    double value;
};

struct board_sample {
    char model[64];    /* "NVIDIA Jetson Orin Nano Developer Kit"; "" unknown */
    char platform[64]; /* "L4T 36.4.0"; "" */
    double cpu_share;  /* 0..1 of all cores */
    double load1, pressure_cpu, pressure_memory, pressure_io; /* PSI some avg10, 0..1 */
    double memory_total_bytes, memory_available_bytes, swap_used_bytes;
    double group_memory_bytes, group_oom_kills; /* of our own cgroup (v1 or v2) */
    double cpu_hz;
    double gpu_share, gpu_hz, gpu_memory_bytes; /* 0..1 */
    double emc_share;                           /* memory controller, 0..1 */
    double throttled; /* 1: the machine holds itself back now (temperature, voltage); 0: not */
    double power_w;   /* of the whole board */
    double battery_share, battery_w, battery_c; /* 0..1; negative: discharging */
    bool battery_charging;
    double disk_total_bytes, disk_free_bytes; /* where the state lies */
    double link_up, link_rx_bps, link_tx_bps, link_signal_dbm;
    size_t zone_count, rail_count, engine_count;
    struct board_named zones[BOARD_MAX_ZONES];     /* °C */
    struct board_named rails[BOARD_MAX_RAILS];     /* W */
    struct board_named engines[BOARD_MAX_ENGINES]; /* Hz while clocked: "dla0", "nvdec" */
};

struct board;

/* `root`: "" for this machine. `state_dir`: whose file system is meant by disk. */
int board_open(const char *root, const char *state_dir, struct board **out, struct err *err) must_check;
void board_free(struct board *board);
MUSTER_CLEANUP(struct board *, board_free)
#define cleanup_board __attribute__((cleanup(board_freep)))

void board_sample(struct board *board, int64_t now_ms,
                  struct board_sample *out);             /* monotonic; once a second is enough */
double board_hottest(const struct board_sample *sample); /* °C; NaN */

#endif
