/* deps: trust wire/mcap base */
/* Any bytes as a recording: never a crash or a read outside; what verifies as an incident is also readable as a whole. */
#include "base/str.h"
#include "trust/incident.h"
#include "wire/mcap/reader.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int touch_message(const struct mcap_channel *channel, const struct mcap_message *message, void *arg,
                         struct err *err)
{
    size_t *sum = arg;
    for (size_t i = 0; i < message->data.len; i += 64)
        *sum += message->data.data[i];
    *sum += mcap_slice_is(channel->topic, "/frames");
    return 0;
}

static int touch_metadata(struct mcap_slice name, struct mcap_slice map, void *arg, struct err *err)
{
    char value[8];
    size_t *sum = arg;
    *sum += mcap_metadata_get(map, "robot", value, sizeof value) ? strlen(value) : name.len;
    return 0;
}

static int touch_attachment(const struct mcap_attachment *attachment, void *arg, struct err *err)
{
    size_t *sum = arg;
    *sum += attachment->data.len ? attachment->data.data[attachment->data.len - 1] : 0;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    size_t sum = 0;
    const struct mcap_visitor visitor = {touch_message, touch_metadata, touch_attachment, &sum};
    struct incident_verdict verdict;
    bool readable = mcap_read(data, size, &visitor, &err) == 0;
    if (incident_verify(data, size, NULL, &verdict, &err) == 0 &&
        (!readable || !str_is_name(verdict.facts.id, 79)))
        abort();
    return 0;
}
