/* What a response means: the server's own words where it sent some, else the transport's. */
#ifndef MUSTER_ROBOT_AGENT_ANSWER_H
#define MUSTER_ROBOT_AGENT_ANSWER_H

#include "base/err.h"
#include "sys/fetch.h"
#include "wire/api.h"

/* Code ERR_NONE for a 2xx. */
static inline struct err answer_error(const struct fetch_response *response)
{
    struct err err = response->err;
    if (err.code != ERR_NONE && response->body.len > 0)
        api_error_parse(response->body.data, response->body.len, &err);
    return err;
}

#endif
