/* An event into a file. */
#include "robot/recorder/inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/recorder/seal.h"
#include "robot/recorder/shelf.h"
#include "sys/file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

enum { SEAL_TIMEOUT_MS = 30000 };
enum { SLACK_MS = 300 }; /* what is promised is there in full, whenever the first entry came */

static int64_t wall_offset_ns(void)
{
    return clock_wall_ms() * MS_NS - clock_mono_ns();
}

static struct seal plan_seal(struct recorder *r, const char *id, int64_t until_ns)
{
    const struct trigger *t = &r->trigger;
    struct seal seal = {.dir = r->incidents,
                        .arena = &r->arena,
                        .from_ns = t->first_ns - t->options.before_ns - SLACK_MS * MS_NS,
                        .at_ns = t->at_ns,
                        .until_ns = until_ns,
                        .wall_offset_ns = wall_offset_ns(),
                        .facts = {.severity = recorder_cause_severity(t->cause)}};
    struct incident_facts *facts = &seal.facts;
    str_copy(facts->id, sizeof facts->id, id);
    str_copy(facts->robot, sizeof facts->robot, r->robot);
    str_copy(facts->cause, sizeof facts->cause, recorder_cause_name(t->cause));
    str_copy(facts->text, sizeof facts->text, t->why.text);
    str_copy(facts->who, sizeof facts->who, t->why.who);
    str_copy(facts->reason, sizeof facts->reason, t->why.reason);
    return seal;
}

/* Without a device key (not enrolled yet) the recording is not signed; everything else holds. */
static struct incident_signer *load_signer(struct recorder *r)
{
    struct err err = {0};
    struct incident_signer *signer = NULL;
    cleanup_free char *key = file_join(r->options.state_dir, "device.key");
    cleanup_free char *cert = file_join(r->options.state_dir, "device.pem");
    if (key && cert && incident_signer_load(key, cert, &signer, &err) < 0)
        log_warn("incidents are not signed: %s", err.text);
    return signer;
}

/* Never more than half of what is free but for the incidents themselves: the next release has to fit, too. */
static uint64_t quota(const struct recorder *r)
{
    struct statvfs disk;
    uint64_t most = (uint64_t)r->options.keep_mib << 20, own = 0;
    struct err ignored = {0};
    if (statvfs(r->incidents, &disk) < 0 || shelf_bytes(r->incidents, &own, &ignored) < 0)
        return most;
    return MIN(most, ((uint64_t)disk.f_bavail * disk.f_frsize + own) / 2);
}

/* In the child. */
static int seal_event(struct recorder *r, struct seal *seal)
{
    struct err err = {0};
    uint64_t own = 0;
    struct shelf_limits limits = {.events = (size_t)r->options.keep, .bytes = quota(r)};
    cleanup_incident_signer struct incident_signer *signer = load_signer(r);
    seal->signer = signer;
    if (signer)
        str_copy(seal->facts.robot, sizeof seal->facts.robot, incident_signer_name(signer));
    if (shelf_make_room(r->incidents, &limits, seal->facts.severity, r->memory_bytes / 4, &err) == 0 &&
        shelf_bytes(r->incidents, &own, &err) == 0) {
        seal->max_bytes = MAX(limits.bytes, own + 1) - own; /* never 0: that would be any length */
        if (seal_write(seal, &err) == 0)
            return 0;
    }
    log_error("%s", err.text);
    return 1;
}

void recorder_seal(struct recorder *r, int64_t until_ns)
{
    recorder_note_lost(r, until_ns, true);
    shelf_id(r->number++, clock_wall_ms() - (clock_mono_ns() - r->trigger.at_ns) / MS_NS,
             recorder_cause_severity(r->trigger.cause), recorder_cause_name(r->trigger.cause), r->child_id);
    struct seal seal = plan_seal(r, r->child_id, until_ns);
    trigger_close(&r->trigger);
    r->child_ns = clock_mono_ns();
    r->child = fork();
    if (r->child == 0)
        _exit(seal_event(r, &seal));
    if (r->child < 0) {
        r->child = 0;
        log_error("incident %s is lost: fork: %s", r->child_id, strerror(errno));
    }
}

void recorder_reap(struct recorder *r, int flags)
{
    int status;
    if (r->child == 0 || waitpid(r->child, &status, flags) != r->child)
        return;
    r->child = 0;
    long long took_ms = (clock_mono_ns() - r->child_ns) / MS_NS;
    if (status == 0)
        log_info("incident %s sealed in %lld ms", r->child_id, took_ms);
    else
        log_error("incident %s is lost: the child that sealed it ended with %d", r->child_id, status);
}

/* A disk that hangs must not keep the next event from being sealed for ever. */
void recorder_look_after_child(struct recorder *r, int64_t now_ns)
{
    recorder_reap(r, WNOHANG);
    if (r->child && now_ns - r->child_ns > SEAL_TIMEOUT_MS * MS_NS)
        kill(r->child, SIGKILL);
}
