#include "cli/cli.h"

#include "base/clock.h"

#include <unistd.h>

static int64_t drawn_ms;
static bool drawn;

void progress_show(const char *what, uint64_t done, uint64_t total)
{
    enum { EVERY_MS = 100 };
    int64_t now = clock_mono_ms();
    if (!isatty(STDERR_FILENO) || (now - drawn_ms < EVERY_MS && done < total))
        return;
    drawn_ms = now;
    drawn = true;
    fprintf(stderr, "\r\033[K%s %3d%%", what, total ? (int)(done * 100 / total) : 100);
    fflush(stderr);
}

void progress_clear(void)
{
    if (drawn)
        fputs("\r\033[K", stderr);
    drawn = false;
}
