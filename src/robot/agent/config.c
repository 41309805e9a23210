#include "robot/agent/config.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "wire/json.h"
#include "wire/release.h"

#include <getopt.h>
#include <stddef.h>
#include <sys/utsname.h>

enum kind { TEXT, NUMBER, SHARE, SWITCH };

struct option_row {
    const char *name; /* JSON member; as a flag with '-' instead of '_' */
    enum kind kind;
    size_t offset;
    double min, max, initial; /* NUMBER, SHARE */
};

#define AT(field) offsetof(struct agent_config, field)

static const struct option_row rows[] = {
    {"state_dir", TEXT, AT(state_dir)},
    {"run_dir", TEXT, AT(run_dir)},
    {"server", TEXT, AT(server)},
    {"enroll_url", TEXT, AT(enroll_url)},
    {"enroll_token_file", TEXT, AT(enroll_token_file)},
    {"ca", TEXT, AT(ca)},
    {"root", TEXT, AT(root)},
    {"operators", TEXT, AT(operators)},
    {"runner", TEXT, AT(runner)},
    {"guard", TEXT, AT(guard)},
    {"recorder", TEXT, AT(recorder)},
    {"watch", TEXT, AT(watch)},
    {"watch_options", TEXT, AT(watch_options)},
    {"robot", TEXT, AT(robot)},
    {"machine", TEXT, AT(machine)},
    {"device_key", TEXT, AT(device_key)},
    {"isolation", TEXT, AT(isolation)},
    {"runner_user", TEXT, AT(runner_user)},
    {"runner_cpus", TEXT, AT(runner_cpus)},
    {"floor", TEXT, AT(floor)},
    {"config", TEXT, AT(config)},
    {"board_root", TEXT, AT(board_root)},
    {"update_battery", SHARE, AT(update_battery), 0, 1, 0},
    {"update_from_hour", NUMBER, AT(update_from_hour), 0, 23, 0},
    {"update_until_hour", NUMBER, AT(update_until_hour), 0, 23, 0},
    {"recorder_memory_mib", NUMBER, AT(recorder_memory_mib), 0, 4096, 32},
    {"telemetry_ms", NUMBER, AT(telemetry_ms), 100, 3600000, 10000},
    {"log_mib", NUMBER, AT(log_mib), 16, 4096, 64},
    {"metadata_ms", NUMBER, AT(metadata_ms), 100, 7 * 86400000.0, 3600000},
    {"probation_ms", NUMBER, AT(probation_ms), 0, 7 * 86400000.0, 600000},
    {"min_frames", NUMBER, AT(min_frames), 0, 1e9, 100},
    {"max_runner_losses", NUMBER, AT(max_runner_losses), 0, 1000, 3},
    {"poll_wait_s", NUMBER, AT(poll_wait_s), 1, 60, 10},
    {"stall_s", NUMBER, AT(stall_s), 1, 3600, 30},
    {"self_test_ms", NUMBER, AT(self_test_ms), 100, 3600000, 60000},
    {"start_ms", NUMBER, AT(start_ms), 100, 3600000, 60000},
    {"shadow_wait_ms", NUMBER, AT(shadow_wait_ms), 100, 3600000, 10000},
    {"model_memory_mib", NUMBER, AT(model_memory_mib), 0, 1e6, 0},
    {"rate_limit", NUMBER, AT(rate_limit), 0, 1e12, 0},
    {"max_over_budget_share", SHARE, AT(max_over_budget_share), 0.001, 0.5, 0.05},
    {"alpha", SHARE, AT(alpha), 1e-9, 0.5, 0.01},
    {"no_fallback", SWITCH, AT(no_fallback)},
    {"no_watch", SWITCH, AT(no_watch)},
    {"stop", SWITCH, AT(stop)},
};

static const char usage[] =
    "usage: muster-agent --config agent.json | --state-dir DIR --run-dir DIR --server URL --root FILE "
    "[...]\n"
    "       muster-agent --stop --run-dir DIR\n"
    "Fetches the release this robot is assigned, checks it, runs it, watches it, and goes back if it fails.\n"
    "  --state-dir DIR              releases, state and identity of this robot\n"
    "  --run-dir DIR                sockets and logs\n"
    "  --server URL                 robot port of the fleet server\n"
    "  --enroll-url URL --enroll-token-file FILE --ca FILE    needed once, until the robot has a "
    "certificate\n"
    "  --robot NAME                 name in the certificate request (default: the host's name)\n"
    "  --root FILE                  root.json of the fleet: the trust anchor, taken once; later roots come "
    "over "
    "the air\n"
    "  --metadata-ms N (3600000)    how often metadata is looked for when nothing is assigned\n"
    "  --device-key file|tpm        where this robot's key is made at its enrolment (file); tpm: TPM 2.0\n"
    "  --operators FILE             keys of the people who may order it from afar "
    "(STATE_DIR/operators.json),\n"
    "                               unless the offline keys released a muster/operators.json\n"
    "  --runner PATH, --guard PATH, --recorder PATH, --watch PATH   default: beside muster-agent\n"
    "  --recorder-memory-mib N      what the black box may keep in memory (32); 0: none runs\n"
    "  --no-watch                   nobody watches the model (docs/watch.md)\n"
    "  --watch-options WORDS        for muster-watch: \"--window-s 10 --burn-in 30\"\n"
    "  --isolation auto|oci|sandbox|none   walls around the program that runs a model (auto)\n"
    "  --runner-user NAME           who that program is (default: muster-runner, else 65534); as root only\n"
    "  --runner-cpus LIST           the cores that models run on: 1, 0-1, 0,2-3 (all)\n"
    "  --floor VERSION              never install anything older\n"
    "  --telemetry-ms N (10000), --log-mib N (64), --poll-wait-s N (10), --stall-s N (30), --rate-limit "
    "BYTES_PER_S (none)\n"
    "  --probation-ms N (600000), --min-frames N (100), --max-runner-losses N (3),\n"
    "  --max-over-budget-share X (0.05), --alpha X (0.01), --self-test-ms N (60000), --start-ms N (60000)\n"
    "  --shadow-wait-ms N (10000)   how long a release that wants live frames waits for one\n"
    "  --model-memory-mib N         what loaded models may take in all (default: what is free)\n"
    "  --update-battery X           a model is changed at this share of the battery or above (0: not looked "
    "at)\n"
    "  --update-from-hour H --update-until-hour H   and only in these hours, local time: 22 and 5 (any)\n"
    "  --board-root DIR             /proc and /sys are looked for there (this machine's)\n"
    "  --no-fallback                do not keep the previous release loaded\n"
    "  --stop                       stop guard and runners of --run-dir\n"
    "SIGTERM ends the agent alone: guard and runners go on.\n"
    "examples:\n"
    "  muster-agent --state-dir /var/lib/muster --run-dir /run/muster --server https://fleet:8443 \\\n"
    "      --root root.json --enroll-url https://fleet:8444 --enroll-token-file r7.token --ca ca.pem "
    "--robot r7\n"
    "  muster-agent --config /etc/muster/agent.json      the same names, with _ for -\n"
    "  muster-agent --stop --run-dir /run/muster\n";

const char *agent_config_usage(void)
{
    return usage;
}

static void *field_of(struct agent_config *config, const struct option_row *row)
{
    return (char *)config + row->offset;
}

static void set_defaults(struct agent_config *config)
{
    *config = (struct agent_config){0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].kind == NUMBER)
            *(int64_t *)field_of(config, &rows[i]) = (int64_t)rows[i].initial;
        else if (rows[i].kind == SHARE)
            *(double *)field_of(config, &rows[i]) = rows[i].initial;
    }
}

/* Flags. */

static int set_number(const struct option_row *row, const char *text, int64_t *out)
{
    int64_t value;
    if (!str_to_i64(text, &value) || (double)value < row->min || (double)value > row->max)
        return -1;
    *out = value;
    return 0;
}

static int set_share(const struct option_row *row, const char *text, double *out)
{
    double value;
    if (!str_to_double(text, &value) || value < row->min || value > row->max)
        return -1;
    *out = value;
    return 0;
}

static int set_flag(struct agent_config *config, const struct option_row *row, const char *text,
                    struct err *err)
{
    void *field = field_of(config, row);
    switch (row->kind) {
    case SWITCH:
        *(bool *)field = true;
        return 0;
    case TEXT:
        if (str_copy(field, CONFIG_TEXT_SIZE, text))
            return 0;
        return err_set(err, ERR_USAGE, "%s: too long", row->name);
    case NUMBER:
        if (set_number(row, text, field) == 0)
            return 0;
        break;
    case SHARE:
        if (set_share(row, text, field) == 0)
            return 0;
        break;
    }
    return err_set(err, ERR_USAGE, "%s: %s is not a number from %g to %g", row->name, text, row->min,
                   row->max);
}

static void flag_name(const struct option_row *row, char out[48])
{
    str_copy(out, 48, row->name);
    for (char *c = out; *c; c++)
        if (*c == '_')
            *c = '-';
}

static int parse_flags(int argc, char **argv, struct agent_config *config, struct err *err)
{
    char names[ARRAY_LEN(rows)][48];
    struct option options[ARRAY_LEN(rows) + 1] = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        flag_name(&rows[i], names[i]);
        options[i].name = names[i];
        options[i].has_arg = rows[i].kind == SWITCH ? no_argument : required_argument;
    }
    optind = 1;
    opterr = 0;
    for (int index = 0, opt; (opt = getopt_long(argc, argv, "", options, &index)) != -1;) {
        if (opt != 0)
            return err_set(err, ERR_USAGE, "unknown option %s, or its value is missing", argv[optind - 1]);
        if (set_flag(config, &rows[index], optarg, err) < 0)
            return -1;
    }
    return optind == argc ? 0 : err_set(err, ERR_USAGE, "%s: not an option", argv[optind]);
}

/* The file. */

static void read_row(struct json_at root, const struct option_row *row, struct agent_config *config)
{
    void *field = field_of(config, row);
    if (!json_has(root, row->name))
        return;
    if (row->kind == TEXT)
        json_get_string(root, row->name, field, CONFIG_TEXT_SIZE);
    else if (row->kind == NUMBER)
        json_get_int(root, row->name, (int64_t)row->min, (int64_t)row->max, field);
    else if (row->kind == SHARE)
        json_get_double(root, row->name, row->min, row->max, field);
    else
        json_get_bool(root, row->name, field);
}

static int parse_file(const char *path, struct agent_config *config, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(64 << 10);
    struct json_reader reader;
    if (file_read(path, &text, err) < 0 || json_read(&reader, path, text.data, text.len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    const char *known[ARRAY_LEN(rows) + 1] = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        known[i] = rows[i].name;
    json_only(root, known);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        read_row(root, &rows[i], config);
    return json_finish(&reader, err);
}

/* Defaults that depend on the machine. */

static int default_program(char *field, const char *name, struct err *err)
{
    if (field[0])
        return 0;
    cleanup_free char *dir = proc_self_dir();
    if (!dir || snprintf(field, CONFIG_TEXT_SIZE, "%s/%s", dir, name) >= CONFIG_TEXT_SIZE)
        return err_set(err, ERR_USAGE, "cannot find %s: say where it is", name);
    return 0;
}

static int fill_in(struct agent_config *config, struct err *err)
{
    struct utsname host;
    if (uname(&host) < 0)
        return err_errno(err, "uname");
    if (!config->machine[0])
        str_copy(config->machine, sizeof config->machine, host.machine);
    if (!config->robot[0])
        str_copy(config->robot, sizeof config->robot, host.nodename);
    if (default_program(config->runner, "muster-runner", err) < 0 ||
        default_program(config->guard, "muster-guard", err) < 0 ||
        default_program(config->recorder, "muster-recorder", err) < 0 ||
        default_program(config->watch, "muster-watch", err) < 0)
        return -1;
    if (!config->operators[0] && snprintf(config->operators, sizeof config->operators, "%s/operators.json",
                                          config->state_dir) >= CONFIG_TEXT_SIZE)
        return err_set(err, ERR_USAGE, "--state-dir: too long");
    for (size_t len = strlen(config->server); len > 0 && config->server[len - 1] == '/'; len--)
        config->server[len - 1] = 0;
    for (size_t len = strlen(config->enroll_url); len > 0 && config->enroll_url[len - 1] == '/'; len--)
        config->enroll_url[len - 1] = 0;
    return 0;
}

/* A root that was taken before. */
static bool has_anchor(const struct agent_config *config)
{
    cleanup_free char *path = mem_printf("%s/trust/root.json", config->state_dir);
    return path && file_exists(path);
}

static int check(const struct agent_config *config, struct err *err)
{
    if (!config->run_dir[0])
        return err_set(err, ERR_USAGE, "--run-dir is missing");
    if (config->stop)
        return 0;
    if (!config->state_dir[0] || !config->server[0])
        return err_set(err, ERR_USAGE, "%s is missing", config->state_dir[0] ? "--server" : "--state-dir");
    if (!config->root[0] && !has_anchor(config))
        return err_set(
            err, ERR_USAGE,
            "this robot trusts nobody yet: --root is missing; give it the fleet's root.json (muster keys "
            "init made it)");
    if (!str_is_name(config->robot, 63))
        return err_set(err, ERR_USAGE, "%s cannot be a robot's name; give one with --robot", config->robot);
    if (config->device_key[0] && !str_eq(config->device_key, "file") && !str_eq(config->device_key, "tpm"))
        return err_set(err, ERR_USAGE, "--device-key: %s is neither file nor tpm", config->device_key);
    if (config->floor[0] && !version_valid(config->floor))
        return err_set(err, ERR_USAGE, "--floor: %s is not a version", config->floor);
    return 0;
}

int agent_config_parse(int argc, char **argv, struct agent_config *out, struct err *err)
{
    struct agent_config first;
    set_defaults(&first);
    set_defaults(out);
    if (parse_flags(argc, argv, &first, err) < 0)
        return -1;
    if (first.config[0] && parse_file(first.config, out, err) < 0)
        return -1;
    if (parse_flags(argc, argv, out, err) < 0)
        return -1;
    return fill_in(out, err) < 0 ? -1 : check(out, err);
}
