/* `muster demo`: a whole fleet on this machine, the story played through, a report at the end. */
#ifndef MUSTER_CLI_DEMO_H
#define MUSTER_CLI_DEMO_H

/* The verb; returns the exit status: 0 only if every robot ended on the good release and the bad one never passed the
 * canary wave. */
int demo_main(int argc, char **argv);

#endif
