/* `muster-sim link`: a bad link between a robot and its fleet. */
#ifndef MUSTER_SIM_LINK_VERB_H
#define MUSTER_SIM_LINK_VERB_H

int link_verb(int argc, char **argv);

#endif
