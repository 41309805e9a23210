#include "robot/jail/missing.h"

#include <stddef.h>

void missing_add(struct missing *missing, const char *what)
{
    size_t used = strlen(missing->text);
    snprintf(missing->text + used, sizeof missing->text - used, "%s%s", used ? ", " : "", what);
}
