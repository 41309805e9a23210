/* muster-sim: renders worlds with ground truth, and plays robots. One table of verbs. */
#include "base/mem.h"
#include "base/str.h"
#include "sim/fall/verb.h"
#include "sim/frames/verb.h"
#include "sim/link/verb.h"
#include "sim/robot/verb.h"

struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct verb verbs[] = {
    {"frames", frames_verb, "render labelled frames as PNG + COCO annotations, or as one file for training"},
    {"falls", falls_verb, "labelled time series of a humanoid's inertial unit"},
    {"link", link_verb, "a bad link between a robot and its fleet: slow, and broken now and then"},
    {"robot", robot_verb, "play a robot's program: camera frames in, checked results or the safe state out"},
};

static void print_help(FILE *out)
{
    fputs("usage: muster-sim VERB [options]\n\nWorlds with ground truth, as robots see them.\n\n", out);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
    fputs("\nexamples:\n"
          "  muster-sim frames --seed 7 --count 20 -o frames\n"
          "  muster-sim robot --run-dir /run/muster --seed 7 --log robot.jsonl\n"
          "  muster-sim frames --help\n",
          out);
}

int main(int argc, char **argv)
{
    if (argc >= 2 && (str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help"))) {
        print_help(stdout);
        return 0;
    }
    if (argc >= 2 && str_eq(argv[1], "--version")) {
        puts("muster-sim " MUSTER_VERSION);
        return 0;
    }
    for (size_t i = 0; argc >= 2 && i < ARRAY_LEN(verbs); i++)
        if (str_eq(argv[1], verbs[i].name))
            return verbs[i].run(argc - 1, argv + 1);
    if (argc >= 2)
        fprintf(stderr, "muster-sim: there is no verb '%s'; see muster-sim --help\n", argv[1]);
    else
        print_help(stderr);
    return 2;
}
