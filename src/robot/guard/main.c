/* muster-guard: see robot/guard/guard.h. */
#include "robot/guard/guard.h"

int main(int argc, char **argv)
{
    return guard_main(argc, argv);
}
