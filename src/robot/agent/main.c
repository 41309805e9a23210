/* muster-agent: see robot/agent/agent.h. */
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/agent.h"
#include "robot/agent/crew.h"
#include "robot/agent/sidecar.h"

int main(int argc, char **argv)
{
    struct agent_config config;
    struct err err = {0};
    if (argc == 2 && (str_eq(argv[1], "--help") || str_eq(argv[1], "--version"))) {
        fputs(str_eq(argv[1], "--help") ? agent_config_usage() : "muster-agent " MUSTER_VERSION "\n", stdout);
        return 0;
    }
    log_init("agent");
    if (agent_config_parse(argc, argv, &config, &err) < 0) {
        fprintf(stderr, "muster-agent: %s%s\n", err.text,
                err.code == ERR_USAGE ? "; see muster-agent --help" : "");
        return err_exit_status(err.code);
    }
    if (config.stop) { /* first: the end of the guard is no incident then */
        sidecar_stop(config.run_dir, "recorder");
        sidecar_stop(config.run_dir, "watch");
    }
    int rc = config.stop ? crew_stop_all(config.run_dir, &err) : agent_run(&config, &err);
    if (rc == 0)
        return 0;
    log_error("%s", err.text);
    return err_exit_status(err.code);
}
