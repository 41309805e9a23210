#include "robot/decide/export/export.h"

#include <string.h>

static const char usage[] =
    "usage: guard-export --promela | --diagram | --suite | --tour [--without ACT]...\n"
    "\n"
    "Prints what is made from the guard's table (src/robot/decide/guard_table.def):\n"
    "  --promela   the table for Spin                       (scripts/spin)\n"
    "  --diagram   a Mermaid state diagram                  (docs/guard.md)\n"
    "  --suite     a complete test suite (W-method), one case a line: event=state, `-` if refused\n"
    "  --tour      one walk through every act in every situation of a whole guard: act and state\n"
    "\n"
    "examples:\n"
    "  guard-export --suite | wc -l\n"
    "  guard-export --tour --without fault --without reboot\n";

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(FILE *);
    } exports[] = {{"--promela", export_promela}, {"--diagram", export_diagram}, {"--suite", export_suite}};
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "--help") == 0)
        return fputs(usage, stdout) < 0;
    for (size_t i = 0; i < sizeof exports / sizeof *exports; i++)
        if (argc == 2 && strcmp(what, exports[i].name) == 0) {
            exports[i].print(stdout);
            return fflush(stdout) != 0;
        }
    const char *without[32] = {0};
    int left_out = 0, at = 2;
    for (;
         strcmp(what, "--tour") == 0 && at + 1 < argc && strcmp(argv[at], "--without") == 0 && left_out < 31;
         at += 2)
        without[left_out++] = argv[at + 1];
    if (strcmp(what, "--tour") == 0 && at == argc && export_tour(stdout, without))
        return fflush(stdout) != 0;
    fputs(usage, stderr);
    return 2;
}
