#include "sim/link/verb.h"

#include "base/mem.h"
#include "base/str.h"
#include "sim/link/link.h"

#include <getopt.h>
#include <stdio.h>

static const char help[] =
    "usage: muster-sim link --to PORT [options]\n"
    "\n"
    "A bad link between a robot and its fleet: a relay on 127.0.0.1 that is slow, and broken now and then. "
    "Says its port, then works\n"
    "until SIGTERM.\n"
    "\n"
    "  --to PORT          where the server listens, on 127.0.0.1\n"
    "  --listen PORT      (any)\n"
    "  --up-s X           mean time that the link holds (20)\n"
    "  --down-s X         mean time that it is broken (0: never): connections end, or just stand still\n"
    "  --delay-ms X       of everything, in both directions (0)\n"
    "  --jitter-ms X      up to so much more (0)\n"
    "  --loss X           share of pieces that come late, as what was lost and sent again (0)\n"
    "  --rate BYTES       per second and direction (as it comes)\n"
    "  --seed N           (1)\n"
    "  --log FILE         JSON lines: up, down, bytes\n"
    "\n"
    "example:\n"
    "  muster-sim link --to 8443 --up-s 15 --down-s 10 --delay-ms 120 --jitter-ms 200 --loss 0.05 --rate "
    "40000\n";

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = number;
}

static const struct option options[] = {
    {"to", required_argument, NULL, 't'},
    {"listen", required_argument, NULL, 'l'},
    {"up-s", required_argument, NULL, 'u'},
    {"down-s", required_argument, NULL, 'd'},
    {"delay-ms", required_argument, NULL, 'D'},
    {"jitter-ms", required_argument, NULL, 'j'},
    {"loss", required_argument, NULL, 'L'},
    {"rate", required_argument, NULL, 'r'},
    {"seed", required_argument, NULL, 's'},
    {"log", required_argument, NULL, 'g'},
    {0},
};

static bool take_port(uint16_t *out)
{
    uint64_t port = 0;
    bool ok = str_to_u64(optarg, &port) && port >= 1 && port <= 65535;
    *out = (uint16_t)port;
    return ok;
}

static bool take_amount(double *out, double most)
{
    return str_to_double(optarg, out) && *out >= 0 && *out <= most;
}

static bool take(struct relay_options *out, int opt)
{
    switch (opt) {
    case 't':
        return take_port(&out->to_port);
    case 'l':
        return take_port(&out->listen_port);
    case 'u':
        return take_amount(&out->up_s, 86400) && out->up_s > 0;
    case 'd':
        return take_amount(&out->down_s, 86400);
    case 'D':
        return take_amount(&out->delay_ms, 60000);
    case 'j':
        return take_amount(&out->jitter_ms, 60000);
    case 'L':
        return take_amount(&out->loss, 1);
    case 'r':
        return take_amount(&out->rate, 1e12);
    case 's':
        return str_to_u64(optarg, &out->seed);
    case 'g':
        out->log_path = optarg;
        return true;
    default:
        return false;
    }
}

int link_verb(int argc, char **argv)
{
    struct relay_options relay = {.up_s = 20, .seed = 1};
    struct err err = {0};
    bool ok = true;
    if (argc >= 2 && (str_eq(argv[1], "--help") || str_eq(argv[1], "-h")))
        return fputs(help, stdout) < 0;
    optind = 1;
    for (int opt; ok && (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        ok = take(&relay, opt);
    if (!ok || optind != argc || !relay.to_port) {
        fprintf(stderr, "muster-sim link: %s; see muster-sim link --help\n",
                ok && !relay.to_port ? "--to PORT is missing" : "an option or a value is wrong");
        return 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (relay_run(&relay, &stop, &err) == 0)
        return 0;
    fprintf(stderr, "muster-sim link: %s\n", err.text);
    return err_exit_status(err.code);
}
