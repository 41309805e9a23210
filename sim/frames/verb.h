/* `muster-sim frames`: argv[0] is the verb. Returns the exit status. */
#ifndef MUSTER_SIM_FRAMES_VERB_H
#define MUSTER_SIM_FRAMES_VERB_H

int frames_verb(int argc, char **argv);

#endif
