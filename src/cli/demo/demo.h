/* `muster demo`: a whole fleet on this machine, the story played through, a report at the end. */
#ifndef MUSTER_CLI_DEMO_H
#define MUSTER_CLI_DEMO_H

#include "cli/cli.h"

/* Exit status 0 only if every robot ended on the good release and the bad one never passed the canary wave.
 */
extern const struct verb verb_demo;

#endif
