/* SELF_TEST: room in memory for the candidate, then its runner, which loads it, warms up and runs its golden cases
 * before the guard hears of it. */
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/installer_inside.h"
#include "sys/file.h"

#include <inttypes.h>

/* Memory. */

/* The number behind `key` in a file of lines "key number". -1: there is none. */
static int64_t number_in(const char *path, const char *key)
{
    cleanup_buf struct buf text = BUF_INIT(64 << 10);
    struct err ignored = {0};
    if (file_read(path, &text, &ignored) < 0)
        return -1;
    const char *at = key[0] ? strstr(buf_text(&text), key) : buf_text(&text);
    int64_t value = -1;
    return at && sscanf(at + strlen(key), "%" SCNd64, &value) == 1 ? value : -1;
}

/* What the cgroup (v2) of this agent leaves: files in the page cache can go. -1: no limit. */
static int64_t cgroup_free_bytes(void)
{
    cleanup_buf struct buf text = BUF_INIT(4096);
    struct err ignored = {0};
    char path[512], group[256] = "";
    if (file_read("/proc/self/cgroup", &text, &ignored) < 0)
        return -1;
    const char *at = strstr(buf_text(&text), "0::/");
    if (!at || sscanf(at, "0::%255s", group) != 1)
        return -1;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
    int64_t most = number_in(path, "");
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.current", group);
    int64_t used = number_in(path, "");
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.stat", group);
    int64_t files = MAX(number_in(path, "\nfile "), (int64_t)0);
    return most < 0 || used < 0 ? -1 : MAX(most - used + files, (int64_t)0);
}

int64_t installer_free_mib(void)
{
    int64_t machine = number_in("/proc/meminfo", "MemAvailable:"), group = cgroup_free_bytes();
    int64_t bytes = machine < 0 ? INT64_MAX : machine << 10;
    if (group >= 0)
        bytes = MIN(bytes, group);
    return bytes == INT64_MAX ? 0 : MAX(bytes >> 20, (int64_t)1);
}

/* What is loaded already, by its budget. */
static int64_t loaded_mib(struct installer *installer)
{
    struct err ignored = {0};
    const struct install *install = installer_state(installer);
    bool spare = install_previous_hot(install) && !installer->options.config->no_fallback;
    const struct install_slot *slots[] = {install->gap ? NULL : &install->current,
                                          spare ? &install->previous : NULL};
    int64_t sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        const struct shelf_item *item = slots[i] && !digest_is_zero(&slots[i]->release)
                                            ? installer_shelf(installer, &slots[i]->release, &ignored)
                                            : NULL;
        sum += item ? item->memory_mib : 0;
    }
    return sum;
}

static bool fits(struct installer *installer, const struct shelf_item *item, char *why, size_t size)
{
    int64_t limit = installer->options.config->model_memory_mib, free_mib = installer_free_mib();
    why[0] = 0;
    if (limit && loaded_mib(installer) + item->memory_mib > limit)
        snprintf(why, size, "it needs %d MiB, models may take %lld in all", item->memory_mib,
                 (long long)limit);
    else if (free_mib && item->memory_mib > free_mib)
        snprintf(why, size, "it needs %d MiB, %lld are free", item->memory_mib, (long long)free_mib);
    return why[0] == 0;
}

/* Room. */

/* Says what leaves, then lets it leave. False: nothing is left that could. */
static bool let_go(struct installer *installer, bool by_policy, const char *why)
{
    const struct install before = *installer_state(installer);
    struct install after = before; /* what the machine will say: reports come before the state */
    struct install_event event = {.kind = INSTALL_EV_NO_ROOM, .by_policy = by_policy};
    enum install_action action;
    if (!install_step(&after, &event, &action))
        return false;
    const struct install_slot *leaves = after.gap && !before.gap ? &before.current : &before.previous;
    const char *meanwhile = !(after.gap && !before.gap)    ? "it is not hot any more"
                            : install_previous_hot(&after) ? "the release before it answers meanwhile"
                                                           : "the safe state answers meanwhile";
    installer_report(installer, REPORT_GUARD, &before.candidate, "%s %s leaves before %s is loaded: %s; %s",
                     leaves->name, leaves->version, before.candidate.version, why, meanwhile);
    log_warn("%s %s leaves before %s is loaded: %s", leaves->name, leaves->version, before.candidate.version,
             why);
    installer_step(installer, &event, NULL);
    return true;
}

/* What has to leave has not left yet. */
static bool somebody_leaves(const struct installer *installer, const struct ctl_status *status)
{
    const struct install *install = installer_state(installer);
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++) {
        const struct ctl_runner_status *runner = &status->runners[i];
        bool stays = runner->generation == install->candidate.generation ||
                     (runner->generation == install->current.generation && !install->gap) ||
                     (runner->generation == install->previous.generation && install_previous_hot(install));
        if (runner->generation && runner->connected && !stays)
            return true;
    }
    return crew_leaving(installer->options.crew);
}

/* While a human has the fallback answer, nothing leaves. */
static bool human_forbids(struct installer *installer, const struct ctl_status *status)
{
    if (status->state != GUARD_FORCED)
        return false;
    if (!installer->waits_for_human)
        installer_report(installer, REPORT_GUARD, &installer_state(installer)->candidate,
                         "waits: a human has the fallback release answer");
    installer->waits_for_human = true;
    return true;
}

/* Before anything leaves for it. */
static int check_grant(const struct installer *installer, struct err *err)
{
    const struct digest *release = &installer_state(installer)->candidate.release;
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    cleanup_close int key_fd = -1;
    if (!image)
        return err_no_memory(err);
    if (!installer->options.sealed)
        return 0;
    if (image_open(store_layout(installer->options.store), release, image, err) < 0)
        return -1;
    int result = sealed_content_key(installer->options.sealed, image, &key_fd, err);
    image_close(image);
    return result;
}

/* A new release waits for its moment; going back does not. */
static bool moment_comes(struct installer *installer, int64_t now_ms)
{
    const struct install *install = installer_state(installer);
    struct occasion_watch *occasion = installer->options.occasion;
    if (!occasion || install->rollback || digest_is_zero(&install->current.release) ||
        occasion_comes(occasion, now_ms))
        return true;
    if (!installer->waits_for_occasion && occasion->why[0]) {
        installer_report(installer, REPORT_GUARD, &install->candidate, "ready, but waits: %s", occasion->why);
        log_info("%s %s waits: %s", install->candidate.name, install->candidate.version, occasion->why);
        installer->waits_for_occasion = true;
    }
    return false;
}

static void make_room(struct installer *installer, const struct ctl_status *status, int64_t now_ms)
{
    struct err err = {0};
    char why[128] = "its release asks for it";
    const struct install *install = installer_state(installer);
    const struct shelf_item *item = installer_shelf(installer, &install->candidate.release, &err);
    if (!item) {
        installer_refuse(installer, err.text);
        return;
    }
    if (check_grant(installer, &err) < 0) {
        installer_refuse(installer, err.text);
        return;
    }
    if (crew_has(installer->options.crew, install->candidate.generation)) {
        installer->room_made = true; /* it is on its way, or was when the agent came back */
        return;
    }
    if (!moment_comes(installer, now_ms))
        return;
    bool alone = digest_is_zero(&install->current.release) || install->gap;
    bool by_policy = item->memory_first && !alone;
    if (somebody_leaves(installer, status) || (!by_policy && fits(installer, item, why, sizeof why))) {
        installer->room_made = !somebody_leaves(installer, status);
        return;
    }
    if (!alone && human_forbids(installer, status))
        return;
    if (!let_go(installer, by_policy, why)) {
        log_warn("%s %s is loaded all the same: %s", install->candidate.name, install->candidate.version,
                 why);
        installer->room_made = true;
    }
}

bool installer_reload(struct installer *installer, const char *why)
{
    struct err err = {0};
    char no_room[128];
    const struct install *install = installer_state(installer);
    if (install->phase != INSTALL_IDLE || digest_is_zero(&install->current.release))
        return false;
    const struct shelf_item *item = installer_shelf(installer, &install->current.release, &err);
    if (!item || item->memory_first || !fits(installer, item, no_room, sizeof no_room))
        return false;
    installer_report(installer, REPORT_RESTARTED, &install->current, "its runner is started anew: %s", why);
    installer_event(installer, INSTALL_EV_RELOAD);
    return !installer->unsaved;
}

/* The runner. */

bool installer_runner_failed(struct installer *installer, uint64_t generation)
{
    char reason[ROBOT_REASON_SIZE], words[128];
    struct crew *crew = installer->options.crew;
    crew_last_words(crew, generation, words, sizeof words);
    bool unwanted = strstr(words, "the guard says") != NULL;
    if (crew_refused(crew, generation) && !unwanted)
        snprintf(reason, sizeof reason, "its runner does not start: %s", words);
    else if (crew_failed_starts(crew, generation) >= INSTALLER_MAX_TRIES)
        snprintf(reason, sizeof reason, "its runner does not start: %s",
                 words[0] ? words : "it says nothing");
    else
        return false;
    installer_refuse(installer, reason);
    return true;
}

void installer_selftest(struct installer *installer, const struct ctl_status *status, int64_t now_ms)
{
    const struct agent_config *config = installer->options.config;
    const struct install_slot *candidate = &installer_state(installer)->candidate;
    if (!status)
        return;
    if (!installer->room_made) {
        make_room(installer, status, now_ms);
        installer->step_since_ms = now_ms;
        return;
    }
    const struct ctl_runner_status *runner = installer_runner(status, candidate->generation);
    if (runner && runner->connected && runner->admitted) {
        installer_report(installer, REPORT_SELF_TESTED, candidate, "loaded, golden cases hold");
        installer_event(installer, INSTALL_EV_SELF_TESTED);
    } else if (!installer_runner_failed(installer, candidate->generation) &&
               now_ms - installer->step_since_ms >
                   INSTALLER_MAX_TRIES * (config->start_ms + config->self_test_ms)) {
        installer_refuse(installer, "its runner did not come up in time");
    }
}
