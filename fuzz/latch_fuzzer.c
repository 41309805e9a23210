/* deps: robot/guard base */
/* Any file where the guard's latch should be: it is a whole record, or the guard stays stopped. Also: the same bytes with the
 * checksum that they should have, so that the fields behind it are looked at. */
#include "base/mem.h"
#include "robot/ctl/ctl.h"
#include "robot/guard/latch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const void *bytes, size_t size)
{
    struct latch_record record;
    if (!latch_parse(bytes, size, &record))
        return;
    if (record.state >= GUARD_STATE_COUNT || strlen(record.who) >= sizeof record.who ||
        strlen(record.reason) >= sizeof record.reason)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct latch_record record;
    look(data, size);
    if (size < sizeof record)
        return 0;
    memcpy(&record, data, sizeof record);
    const uint8_t *byte = (const uint8_t *)&record;
    record.checksum = 0xcbf29ce484222325;
    for (size_t i = 0; i < offsetof(struct latch_record, checksum); i++)
        record.checksum = (record.checksum ^ byte[i]) * 0x100000001b3;
    look(&record, sizeof record);
    return 0;
}
