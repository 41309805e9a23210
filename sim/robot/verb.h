/* muster-sim robot */
#ifndef MUSTER_SIM_ROBOT_VERB_H
#define MUSTER_SIM_ROBOT_VERB_H

int robot_verb(int argc, char **argv); /* exit status */

#endif
