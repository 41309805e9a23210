/* Six boards, every number right or absent; and trees that are out to hurt. The trees are written after the documentation of their kernels and of NVIDIA,
 * not recorded on the boards (docs/telemetry.md). */
#include "base/clock.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/board/board.h"
#include "robot/board/tree.h"

#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define ABSENT NAN

struct expected {
    const char *board, *model, *platform;
    double load1, pressure_cpu, pressure_memory, pressure_io, memory_total, memory_available, swap_used;
    double group_memory, group_oom_kills, cpu_hz, gpu_share, gpu_hz, gpu_memory, emc_share, throttled,
        power_w;
    double battery_share, battery_w, battery_c, link_up, link_signal_dbm, hottest;
    const char *zones, *rails, *engines;
};

static const struct expected boards[] = {
    {"nano-jp4",
     "NVIDIA Jetson Nano Developer Kit",
     "L4T 32.7.1",
     0.85,
     ABSENT,
     ABSENT,
     ABSENT,
     4059256 * 1024.0,
     2029628 * 1024.0,
     29620 * 1024.0,
     20971520,
     ABSENT,
     1479e6,
     0.345,
     614.4e6,
     ABSENT,
     0.2,
     0,
     3.52,
     ABSENT,
     ABSENT,
     ABSENT,
     1,
     ABSENT,
     41.5,
     "AO-therm=41.5 CPU-therm=38.5 GPU-therm=37 PLL-therm=36.5 thermal-fan-est=37.75 ",
     "POM_5V_IN=3.52 POM_5V_GPU=0.64 POM_5V_CPU=0.92 ",
     "nvenc=0 nvdec=2.688e+08 nvjpg=0 vic=0 "},
    {"xavier-jp5",
     "Jetson-AGX",
     "L4T 35.4.1",
     5.2,
     ABSENT,
     ABSENT,
     ABSENT,
     31922048 * 1024.0,
     12000000 * 1024.0,
     0,
     33554432,
     2,
     1728e6,
     0.998,
     1377e6,
     ABSENT,
     0.5,
     1,
     27.5548,
     ABSENT,
     ABSENT,
     ABSENT,
     1,
     ABSENT,
     91.5,
     "CPU-therm=91.5 GPU-therm=88 AUX-therm=84.5 AO-therm=82 Tboard_tegra=71 thermal-fan-est=87.4 ",
     "GPU=11.4048 CPU=7.6 SOC=3.8 CV=0 VDDRQ=1.9 SYS5V=2.85 ",
     "dla0=1.3952e+09 dla1=0 pva0=0 nvenc=0 nvdec=0 vic=0 "},
    {"orin-jp6",
     "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Sup",
     "L4T 36.4.0",
     2.1,
     0.0325,
     0.005,
     0.01,
     7802436 * 1024.0,
     3901218 * 1024.0,
     260000 * 1024.0,
     12582912,
     0,
     1536e6,
     0.42,
     624.75e6,
     ABSENT,
     0.25,
     0,
     6.3,
     ABSENT,
     ABSENT,
     ABSENT,
     1,
     -52,
     52.5,
     "cpu-thermal=52.5 gpu-thermal=51.25 soc0-thermal=50.906 soc1-thermal=51.5 tj-thermal=52.5 ",
     "VDD_IN=6.3 VDD_CPU_GPU_CV=1.5096 VDD_SOC=1.258 ",
     "nvdec=4.352e+08 nvjpg=0 vic=0 ofa=0 "},
    {"thor-jp7",
     "NVIDIA Jetson AGX Thor Developer Kit",
     "L4T 38.2.0",
     3.5,
     0,
     0,
     0.0025,
     128786432 * 1024.0,
     96589824 * 1024.0,
     0,
     15728640,
     1,
     1786.5e6,
     ABSENT,
     1386e6,
     ABSENT,
     ABSENT,
     0,
     29.7,
     ABSENT,
     ABSENT,
     ABSENT,
     1,
     ABSENT,
     45,
     "cpu-thermal=45 gpu-thermal=44.5 soc012-thermal=43.5 soc345-thermal=43.968 tj-thermal=45 ",
     "ina238=29.7 VDD_GPU=4.95 VDD_CPU_SOC_MSS=7.92 VIN_SYS_5V0=4.5 ",
     ""},
    {"rpi4",
     "Raspberry Pi 4 Model B Rev 1.4",
     "Debian GNU/Linux 12 (bookworm)",
     0.42,
     0.015,
     0,
     0.0225,
     3885396 * 1024.0,
     3400000 * 1024.0,
     0,
     ABSENT,
     ABSENT,
     1500e6,
     ABSENT,
     ABSENT,
     ABSENT,
     ABSENT,
     1,
     ABSENT,
     ABSENT,
     ABSENT,
     ABSENT,
     1,
     -61,
     81.3,
     "cpu-thermal=81.3 ",
     "",
     ""},
    {"x86-laptop",
     "LENOVO 20XW0026GE",
     "Debian GNU/Linux 12 (bookworm)",
     1.01,
     0,
     0,
     0,
     16132096 * 1024.0,
     9876543 * 1024.0,
     262144 * 1024.0,
     9437184,
     0,
     1000e6,
     ABSENT,
     350e6,
     ABSENT,
     ABSENT,
     0,
     8.25,
     0.73,
     -8.25,
     ABSENT,
     1,
     -47,
     52,
     "acpitz=48 x86_pkg_temp=52 coretemp Package id 0=52 coretemp Core 0=51 nvme Composite=38.85 ",
     "",
     ""},
};

static void check(const char *board, const char *what, double got, double expected)
{
    bool right = isnan(expected) ? isnan(got) : fabs(got - expected) <= 1e-9 * fmax(1, fabs(expected));
    if (!right)
        fail_msg("%s: %s is %.10g, not %.10g", board, what, got, expected);
}

static void check_list(const char *board, const struct board_named *list, size_t count, const char *expected)
{
    char text[1024] = "";
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s=%g ", list[i].name, list[i].value);
    }
    if (!str_eq(text, expected))
        fail_msg("%s: %s, not %s", board, text, expected);
}

static void look_twice(const char *root, struct board_sample *out)
{
    struct err err = {0};
    cleanup_board struct board *board = NULL;
    assert_ok(board_open(root, "/", &board, &err), err);
    board_sample(board, 1000, out);
    board_sample(board, 2000, out);
}

static void check_board(const struct expected *e)
{
    static struct board_sample s;
    char root[256];
    snprintf(root, sizeof root, "%s/tests/data/boards/%s", MUSTER_SOURCE_DIR, e->board);
    look_twice(root, &s);
    assert_string_equal(s.model, e->model);
    assert_string_equal(s.platform, e->platform);
    const struct {
        const char *what;
        double got, expected;
    } rows[] = {
        {"cpu_share", s.cpu_share, ABSENT}, /* nothing moved between the looks */
        {"load1", s.load1, e->load1},
        {"pressure_cpu", s.pressure_cpu, e->pressure_cpu},
        {"pressure_memory", s.pressure_memory, e->pressure_memory},
        {"pressure_io", s.pressure_io, e->pressure_io},
        {"memory_total", s.memory_total_bytes, e->memory_total},
        {"memory_available", s.memory_available_bytes, e->memory_available},
        {"swap_used", s.swap_used_bytes, e->swap_used},
        {"group_memory", s.group_memory_bytes, e->group_memory},
        {"group_oom_kills", s.group_oom_kills, e->group_oom_kills},
        {"cpu_hz", s.cpu_hz, e->cpu_hz},
        {"gpu_share", s.gpu_share, e->gpu_share},
        {"gpu_hz", s.gpu_hz, e->gpu_hz},
        {"gpu_memory", s.gpu_memory_bytes, e->gpu_memory},
        {"emc_share", s.emc_share, e->emc_share},
        {"throttled", s.throttled, e->throttled},
        {"power_w", s.power_w, e->power_w},
        {"battery_share", s.battery_share, e->battery_share},
        {"battery_w", s.battery_w, e->battery_w},
        {"battery_c", s.battery_c, e->battery_c},
        {"link_up", s.link_up, e->link_up},
        {"link_rx", s.link_rx_bps, 0},
        {"link_tx", s.link_tx_bps, 0},
        {"link_signal", s.link_signal_dbm, e->link_signal_dbm},
        {"hottest", board_hottest(&s), e->hottest},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(e->board, rows[i].what, rows[i].got, rows[i].expected);
    assert_false(s.battery_charging);
    check_list(e->board, s.zones, s.zone_count, e->zones);
    check_list(e->board, s.rails, s.rail_count, e->rails);
    check_list(e->board, s.engines, s.engine_count, e->engines);
}

static void every_number_of_six_boards_is_right_or_absent(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(boards); i++)
        check_board(&boards[i]);
}

/* ---- trees of the test's own ---- */

static char scratch[64];

static void path_in(const char *path, char out[256])
{
    snprintf(out, 256, "%s/%s", scratch, path);
    for (char *slash = strchr(out + strlen(scratch) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(out, 0755);
        *slash = '/';
    }
}

static void put_bytes(const char *path, const void *data, size_t len)
{
    char full[256];
    path_in(path, full);
    FILE *file = fopen(full, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    fclose(file);
}

static void put(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    return remove(path);
}

static int make_scratch(void **state)
{
    str_copy(scratch, sizeof scratch, "/tmp/muster-board-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static int drop_scratch(void **state)
{
    return nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void rates_want_two_looks(void **state)
{
    static struct board_sample s;
    struct err err = {0};
    cleanup_board struct board *board = NULL;
    put("proc/stat", "cpu  100 0 100 800 0 0 0 0\n");
    put("proc/net/route", "Iface\tDestination\tGateway\nusb0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n");
    put("sys/class/net/usb0/operstate", "up\n");
    put("sys/class/net/usb0/statistics/rx_bytes", "1000\n");
    put("sys/class/net/usb0/statistics/tx_bytes", "9\n");
    assert_ok(board_open(scratch, scratch, &board, &err), err);
    board_sample(board, 1000, &s);
    assert_true(isnan(s.cpu_share) && isnan(s.link_rx_bps));
    assert_true(s.disk_total_bytes > s.disk_free_bytes && s.disk_free_bytes > 0);
    put("proc/stat", "cpu  125 0 125 950 0 0 0 0\n");
    put("sys/class/net/usb0/statistics/rx_bytes", "2000\n");
    put("sys/class/net/usb0/statistics/tx_bytes", "1\n"); /* began anew */
    board_sample(board, 3000, &s);
    assert_true(s.cpu_share == 0.25 && s.link_rx_bps == 4000 && isnan(s.link_tx_bps));
    board_sample(board, 3000, &s); /* no time went by */
    assert_true(isnan(s.cpu_share) && isnan(s.link_rx_bps));
    board_sample(board, 2000, &s); /* it ran backwards */
    assert_true(isnan(s.cpu_share));
}

static void batteries_mean_what_their_status_says(void **state)
{
    static struct board_sample s;
    static const struct {
        const char *status, *current;
        double watts;
        bool charging;
    } rows[] = {{"Charging", "2000000", 24, true},
                {"Charging", "-2000000", 24, true},
                {"Discharging", "2000000", -24, false},
                {"Discharging", "-2000000", -24, false},
                {"Full", "0", 0, false},
                {"Unknown", "5", NAN, false}};
    put("sys/class/power_supply/main/type", "Battery\n");
    put("sys/class/power_supply/main/capacity", "80\n");
    put("sys/class/power_supply/main/charge_full", "3000000\n");
    put("sys/class/power_supply/main/voltage_now", "12000000\n");
    put("sys/class/power_supply/main/temp", "315\n");
    put("sys/class/power_supply/second/type", "Battery\n");
    put("sys/class/power_supply/second/capacity", "20\n");
    put("sys/class/power_supply/second/charge_full", "1000000\n");
    put("sys/class/power_supply/second/voltage_now", "12000000\n");
    put("sys/class/power_supply/second/current_now", "0\n");
    put("sys/class/power_supply/second/status", "Full\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        put("sys/class/power_supply/main/status", rows[i].status);
        put("sys/class/power_supply/main/current_now", rows[i].current);
        look_twice(scratch, &s);
        check("battery", rows[i].status, s.battery_w, rows[i].watts);
        check("battery", "share", s.battery_share, 0.65);
        check("battery", "temperature", s.battery_c, 31.5);
        assert_true(s.battery_charging == rows[i].charging);
        check("battery", "power", s.power_w, rows[i].watts < 0 ? 24 : NAN);
    }
}

static void make_hostile(void)
{
    char path[256];
    cleanup_free char *big = mem_zalloc(4 << 20, 1);
    memset(big, '7', 4 << 20);
    put_bytes("proc/meminfo", big, 4 << 20);
    put_bytes("proc/stat", "\0\1\2cpu", 6);
    put("proc/loadavg", "nan 1 2");
    put("proc/self/cgroup", "0::/../../../../etc\n5:memory\n:::::\n");
    put_bytes("sys/firmware/devicetree/base/model", "\xff\xfe\x1b[31mx\ny\0\0", 11);
    put("sys/class/thermal/thermal_zone0/type", "hot");
    put("sys/class/thermal/thermal_zone0/temp", "1e999");
    put("sys/class/thermal/thermal_zone1/type", "cold");
    put("sys/class/thermal/thermal_zone1/temp", "-999999");
    put("sys/class/devfreq/evil/device/of_node/name", "gpu");
    put("sys/class/devfreq/evil/device/load", "99999999");
    put("sys/class/devfreq/evil/cur_freq", "-5");
    put("proc/net/route", "a/../../b\t00000000\t0\t1\t0\t0\t0\n\xff\n");
    path_in("sys/class/thermal/thermal_zone2/temp", path);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody will ever write */
    put("sys/class/thermal/thermal_zone2/type", "pipe");
    path_in("sys/class/thermal/thermal_zone3", path);
    assert_int_equal(symlink("thermal_zone3", path), 0); /* to itself */
    path_in("etc/os-release", path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    path_in("sys/class/dmi/id/sys_vendor", path);
    assert_int_equal(mkdir(path, 0755), 0);
    for (int i = 10; i < 400; i++) {
        char name[96];
        snprintf(name, sizeof name, "sys/class/thermal/thermal_zone%d/type", i);
        put(name, "many\n");
        snprintf(name, sizeof name, "sys/class/thermal/thermal_zone%d/temp", i);
        put(name, "40000\n");
    }
}

static void hostile_trees_are_bounded(void **state)
{
    static struct board_sample s;
    make_hostile();
    int64_t before_ms = clock_mono_ms();
    look_twice(scratch, &s);
    assert_true(clock_mono_ms() - before_ms < 10000); /* it did not wait for the pipe */
    assert_true(isnan(s.load1) && isnan(s.cpu_share) && isnan(s.memory_total_bytes) &&
                isnan(s.group_memory_bytes));
    assert_true(isnan(s.gpu_share) && isnan(s.gpu_hz) && isnan(s.link_up));
    assert_string_equal(s.platform, "");
    for (const char *c = s.model; *c; c++)
        assert_true(*c >= ' ' && *c <= '~');
    assert_true(s.zone_count <= BOARD_MAX_ZONES);
    for (size_t i = 0; i < s.zone_count; i++)
        assert_true(str_eq(s.zones[i].name, "many"));
}

static void links_do_not_lead_out_of_a_tree(void **state)
{
    struct err err = {0};
    struct tree tree;
    char path[256], text[64];
    assert_ok(tree_open(scratch, &tree, &err), err);
    put("secret", "inside\n");
    path_in("up", path);
    assert_int_equal(symlink("../../../../../../../../secret", path), 0);
    path_in("absolute", path);
    assert_int_equal(symlink("/secret", path), 0);
    path_in("magic", path);
    assert_int_equal(symlink("/proc/self/root/etc/hostname", path), 0);
    assert_true(tree_text(&tree, text, sizeof text, "up") && str_eq(text, "inside"));
    assert_true(tree_text(&tree, text, sizeof text, "absolute") && str_eq(text, "inside"));
    assert_false(tree_text(&tree, text, sizeof text, "magic"));
    assert_true(tree_text(&tree, text, sizeof text, "../../../../secret") && str_eq(text, "inside"));
    tree_close(&tree);
    assert_fails(tree_open("/nowhere/at/all", &tree, &err), err, ERR_NOT_FOUND);
}

static atomic_bool renaming;

static void *rename_all_the_time(void *arg)
{
    char here[256], there[256];
    (void)arg;
    path_in("here", here);
    path_in("there", there);
    while (renaming)
        if (rename(here, there) != 0 || rename(there, here) != 0)
            break;
    return NULL;
}

/* openat2 gives up on a ".." while anybody anywhere renames something. */
static void renames_elsewhere_lose_no_number(void **state)
{
    enum { LOOKS = 20000 };
    struct err err = {0};
    struct tree tree;
    char text[64];
    pthread_t thread;
    int lost = 0;
    assert_ok(tree_open(scratch, &tree, &err), err);
    put("secret", "inside\n");
    put("here", "\n");
    renaming = true;
    assert_int_equal(pthread_create(&thread, NULL, rename_all_the_time, NULL), 0);
    for (int i = 0; i < LOOKS; i++)
        lost += !tree_text(&tree, text, sizeof text, "../../secret");
    renaming = false;
    pthread_join(thread, NULL);
    tree_close(&tree);
    assert_int_equal(lost, 0);
}

/* What it costs: printed, and held far above what it takes, for machines and sanitizers differ. */
static void a_sample_costs_little(void **state)
{
    enum { SAMPLES = 300 };
    static struct board_sample s;
    struct err err = {0};
    struct timespec before, after;
    cleanup_board struct board *board = NULL;
    assert_ok(board_open("", "/", &board, &err), err);
    board_sample(board, 0, &s);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    for (int i = 1; i <= SAMPLES; i++)
        board_sample(board, i * 1000, &s);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    double us =
        ((double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec)) / 1e3;
    print_message("this machine: %.0f us a sample, %.3f %% of a core at 1 Hz\n", us / SAMPLES,
                  us / SAMPLES / 1e4);
    assert_true(s.memory_total_bytes > 0 && s.load1 >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_six_boards_is_right_or_absent),
        cmocka_unit_test_setup_teardown(rates_want_two_looks, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(batteries_mean_what_their_status_says, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(hostile_trees_are_bounded, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(links_do_not_lead_out_of_a_tree, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(renames_elsewhere_lose_no_number, make_scratch, drop_scratch),
        cmocka_unit_test(a_sample_costs_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
