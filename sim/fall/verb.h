/* `muster-sim falls`: labelled time series of a humanoid's inertial unit. */
#ifndef MUSTER_SIM_FALL_VERB_H
#define MUSTER_SIM_FALL_VERB_H

int falls_verb(int argc, char **argv);

#endif
