/* deps: robot/store robot/decide wire base */
#include "base/mem.h"
#include "robot/store/state.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever a state file holds: it is refused, or it is a state that the machine may go on from, and is
 * written as read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct robot_state state, again;
    if (robot_state_parse(data, size, &state, &err) < 0) {
        assert(err.code != ERR_NONE && err.text[0]);
        return 0;
    }
    assert(install_valid(&state.install));
    cleanup_free char *text = robot_state_format(&state);
    int rc = text ? robot_state_parse(text, strlen(text), &again, &err) : -1;
    assert(rc == 0 && again.install.phase == state.install.phase &&
           again.install.next_generation == state.install.next_generation);
    (void)rc;
    return 0;
}
