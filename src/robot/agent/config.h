/* What an agent is told: flags of muster-agent, or the same names in a JSON file (--config agent.json), flags
 * win.
 *
 *   {"state_dir": "/var/lib/muster", "run_dir": "/run/muster", "server": "https://fleet:8443",
 *    "enroll_url": "https://fleet:8444", "enroll_token_file": "/etc/muster/token",
 *    "ca": "/etc/muster/ca.pem", "root": "/etc/muster/root.json", "probation_ms": 600000, ...}
 *
 * One table (config.c) holds every option with its default and limits. */
#ifndef MUSTER_ROBOT_AGENT_CONFIG_H
#define MUSTER_ROBOT_AGENT_CONFIG_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONFIG_TEXT_SIZE = 256 };

struct agent_config {
    char state_dir[CONFIG_TEXT_SIZE];
    char run_dir[CONFIG_TEXT_SIZE];           /* sockets and logs; best on a tmpfs */
    char server[CONFIG_TEXT_SIZE];            /* robot port, https://HOST:PORT */
    char enroll_url[CONFIG_TEXT_SIZE];        /* operator port; only needed until enrolled */
    char enroll_token_file[CONFIG_TEXT_SIZE]; /* removed once it has been used */
    char ca[CONFIG_TEXT_SIZE];                /* PEM; trust anchor for the enrolment */
    char operators[CONFIG_TEXT_SIZE];         /* keys of people who may order it from afar */
    char root[CONFIG_TEXT_SIZE]; /* trust anchor: TUF root metadata; needed once, then it is on the shelf */
    char runner[CONFIG_TEXT_SIZE], guard[CONFIG_TEXT_SIZE]; /* programs; default: beside muster-agent */
    char robot[CONFIG_TEXT_SIZE];       /* name in the certificate request; default: the host's name */
    char machine[CONFIG_TEXT_SIZE];     /* default: uname -m */
    char device_key[CONFIG_TEXT_SIZE];  /* file (default) or tpm: sys/device_key.h */
    char isolation[CONFIG_TEXT_SIZE];   /* auto, oci, sandbox or none: robot/agent/spawn.h */
    char runner_user[CONFIG_TEXT_SIZE]; /* name or number; default: muster-runner, else 65534. Root only */
    char runner_cpus[CONFIG_TEXT_SIZE]; /* the cores that models run on; "": all */
    char floor[CONFIG_TEXT_SIZE];       /* never install anything older, whoever says so */
    char config[CONFIG_TEXT_SIZE];
    char recorder[CONFIG_TEXT_SIZE]; /* program; default: beside muster-agent */
    char watch[CONFIG_TEXT_SIZE];    /* program; likewise */
    char watch_options[CONFIG_TEXT_SIZE];
    int64_t recorder_memory_mib;       /* 0: no black box */
    char board_root[CONFIG_TEXT_SIZE]; /* where /proc and /sys are looked for; "": this machine's */
    double update_battery; /* a model is changed at this share of the battery or above; 0: not looked at */
    int64_t update_from_hour, update_until_hour; /* local time; equal: at any hour */
    int64_t telemetry_ms;
    int64_t log_mib;     /* of what waits for the server: robot/forward */
    int64_t metadata_ms; /* how often metadata is looked for when nothing is assigned; jittered */
    int64_t probation_ms;
    int64_t min_frames;        /* of evidence before a probation may end, if a robot program is attached */
    int64_t max_runner_losses; /* during a probation */
    int64_t poll_wait_s;       /* how long the server may hold the question for an assignment */
    int64_t stall_s;           /* a download that stands still for so long is begun again */
    int64_t self_test_ms;
    int64_t start_ms;         /* how long a runner may take until it is connected to the guard */
    int64_t shadow_wait_ms;   /* a release that wants live frames and gets none for so long goes on without */
    int64_t model_memory_mib; /* what loaded models may take in all, by their budgets; 0: what is free */
    int64_t rate_limit;       /* bytes/s of a download; 0: none */
    double max_over_budget_share; /* of inferences slower than budgets.latency_p99_ms */
    double alpha;                 /* chance of rolling a healthy release back, per criterion */
    bool no_watch;
    bool no_fallback; /* saves memory: the previous release is not kept loaded */
    bool stop;        /* stop guard and runners of run_dir, then exit */
};

/* `argv` as main has it. Errors: USAGE; whatever the file says wrong. */
int agent_config_parse(int argc, char **argv, struct agent_config *out, struct err *err) must_check;
const char *agent_config_usage(void);

#endif
