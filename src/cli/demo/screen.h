/* The demo as one sees it: lines of the story that scroll, and on a terminal the fleet below them, drawn in
 * place. Everything goes to stderr; stdout is for the report. */
#ifndef MUSTER_CLI_DEMO_SCREEN_H
#define MUSTER_CLI_DEMO_SCREEN_H

#include "cli/demo/chaos.h"
#include "cli/demo/view.h"

void screen_init(bool quiet); /* quiet: only warnings */
void screen_chapter(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void screen_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void screen_command(const char *line); /* "$ muster push …" */
void screen_fleet(const struct view *view, const struct chaos *chaos, int64_t elapsed_ms);
void screen_done(void); /* leaves the last picture standing */

#endif
