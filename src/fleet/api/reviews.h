/* Shared by the files of reviews; private to fleet/api. */
#ifndef MUSTER_FLEET_API_REVIEWS_H
#define MUSTER_FLEET_API_REVIEWS_H

#include "fleet/api/call.h"

void review_view(struct json_writer *w, struct fleet *fleet, const struct review_row *row); /* members only */
/* The review :id, if the operator has this right on its robot; the same words for one that he may not even see, and for none. */
int review_find(struct call *call, enum right right, struct review_row *out, struct err *err) must_check;

#endif
