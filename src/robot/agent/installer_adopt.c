/* Taking over what runs: a state file may be lost or damaged, the robot goes on all the same. */
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/installer_inside.h"

static const struct ctl_runner_status *active_runner(const struct ctl_status *status)
{
    for (size_t i = 0; status->active_generation && i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation == status->active_generation)
            return &status->runners[i];
    return NULL;
}

static void adopt(struct installer *installer, const struct ctl_runner_status *runner,
                  struct install *install)
{
    struct err err = {0};
    const struct shelf_item *item =
        shelf_get(&installer->shelf, store_layout(installer->options.store), &runner->release, &err);
    if (!item) {
        log_warn("what runs is not in the store: %s", err.text);
        return;
    }
    install->current = (struct install_slot){
        .release = runner->release, .manifest_size = item->manifest_size, .generation = runner->generation};
    str_copy(install->current.name, sizeof install->current.name, item->name);
    str_copy(install->current.version, sizeof install->current.version, item->version);
    installer_report(installer, REPORT_COMMITTED, &install->current,
                     "taken over: it ran when the state was lost");
}

void installer_take_over(struct installer *installer, const struct ctl_status *status)
{
    struct err err = {0};
    struct robot_state state = *store_state(installer->options.store);
    struct install *install = &state.install;
    const struct install before = *install;
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++)
        install->next_generation = MAX(install->next_generation, status->runners[i].generation + 1);
    const struct ctl_runner_status *runner = active_runner(status);
    if (install->phase == INSTALL_IDLE && digest_is_zero(&install->current.release) && runner)
        adopt(installer, runner, install);
    bool changed = before.next_generation != install->next_generation ||
                   !digest_equal(&before.current.release, &install->current.release);
    if (changed && store_save(installer->options.store, &state, &err) < 0)
        log_error("state: %s", err.text); /* looked at again with the next answer */
    else
        installer->looked = true;
    if (!changed || !installer->looked)
        return;
    installer->said_count = 0;
    installer_event(installer, INSTALL_EV_RESTARTED);
}
