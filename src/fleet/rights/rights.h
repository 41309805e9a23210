/* Who may do what with which robots. Pure.
 *
 * An operator has grants; a grant is a role *and* a selector (labels that must all match; none: the whole fleet):
 *
 *     "operator:site=north,line=a;viewer"            operator of line a in the north, viewer of everything
 *
 * An act on a robot is allowed if ONE grant has both: a role with that right, and a selector that the robot matches. Roles of one grant are never
 * put together with the robots of another (the union that became CVE-2026-33552 elsewhere): viewer of the fleet and operator in the north is nobody's
 * operator in the south. An act on several robots is allowed if it is allowed on each. An act on the fleet itself wants a grant without a selector.
 * Rights are looked up at the moment of the act, with the labels that the robot has then.
 *
 * The table is rights.def; which route needs which right is in fleet/api/routes.c.
 */
#ifndef MUSTER_FLEET_RIGHTS_RIGHTS_H
#define MUSTER_FLEET_RIGHTS_RIGHTS_H

#include "base/err.h"
#include "wire/api.h"

#include <stdbool.h>
#include <stddef.h>

enum role { ROLE_VIEWER, ROLE_OPERATOR, ROLE_RELEASER, ROLE_SAFETY, ROLE_ADMIN, ROLE_COUNT };

enum right {
#define RIGHT(id, name, viewer, operator_, releaser, safety, admin, what) RIGHT_##id,
#include "fleet/rights/rights.def"
#undef RIGHT
    RIGHT_COUNT
};

enum { RIGHTS_MAX_GRANTS = 8, RIGHTS_TEXT_SIZE = 1024 };

struct grant {
    enum role role;
    size_t label_count; /* 0: the whole fleet */
    struct api_label labels[API_MAX_LABELS];
};

struct rights {
    size_t count; /* 0: nothing at all */
    struct grant grants[RIGHTS_MAX_GRANTS];
};

const char *role_name(enum role role); /* "viewer" */
const char *right_name(enum right right);
bool role_has(enum role role, enum right right);

bool rights_on_robot(const struct rights *rights, enum right right, const struct api_label *labels,
                     size_t count);
bool rights_on_fleet(const struct rights *rights, enum right right);
bool rights_somewhere(const struct rights *rights,
                      enum right right); /* on some robot there may be: the act narrows itself then */

/* The text form above. Errors: INVALID naming what is wrong (unknown role, label without '=', a label twice, too many). */
int rights_parse(const char *text, struct rights *out, struct err *err) must_check;
void rights_format(const struct rights *rights, char out[RIGHTS_TEXT_SIZE]);

#endif
