/* Independent random scenes: camera, light, blur and objects anew for each index. For training and
 * evaluation. */
#ifndef MUSTER_SIM_WORLD_SCENE_H
#define MUSTER_SIM_WORLD_SCENE_H

#include "sim/world/instant.h"

void scene_build(uint64_t index, struct instant *instant);

#endif
