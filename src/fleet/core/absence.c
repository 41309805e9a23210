#include "fleet/core/absence.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

struct look {
    struct absence *absence;
    int64_t mono_ms;
    absence_tell *tell;
    void *arg;
    int rc;
    struct err *err;
};

void absence_init(struct absence *absence, int64_t mono_ms)
{
    *absence = (struct absence){.start_ms = mono_ms};
}

void absence_fini(struct absence *absence)
{
    free(absence->sites);
    *absence = (struct absence){0};
}

static struct absence_site *site_of(struct absence *absence, const char *name)
{
    for (size_t i = 0; i < absence->count; i++)
        if (str_eq(absence->sites[i].name, name))
            return &absence->sites[i];
    if (absence->count == absence->room) {
        size_t room = absence->room ? 2 * absence->room : 8;
        struct absence_site *more = mem_grow(absence->sites, room, sizeof *more);
        if (!more)
            return NULL;
        absence->sites = more;
        absence->room = room;
    }
    struct absence_site *site = &absence->sites[absence->count++];
    *site = (struct absence_site){0};
    str_copy(site->name, sizeof site->name, name);
    return site;
}

static void say(struct look *look, const char *kind, const char *robot, const char *text)
{
    if (look->rc == 0)
        look->rc = look->tell(kind, robot, text, look->arg, look->err);
}

static bool just_missing(const struct roster_entry *entry, int64_t mono_ms)
{
    return entry->away == ROSTER_MISSING && mono_ms - entry->missing_ms <= ABSENCE_TOGETHER_MS;
}

/* One robot: here, or missing since. */
static void notice(struct roster_entry *entry, void *arg)
{
    struct look *look = arg;
    enum presence presence = roster_presence(entry, look->mono_ms);
    struct absence_site *site = site_of(look->absence, entry->site);
    if (!site || presence == PRESENCE_NEVER) {
        if (!site && look->rc == 0)
            look->rc = err_no_memory(look->err);
        return;
    }
    bool here = presence != PRESENCE_OFFLINE;
    if (entry->expected) {
        entry->away = ROSTER_HERE;
        return;
    }
    if (here && entry->away == ROSTER_TOLD)
        say(look, "robot.back", entry->id, "it is heard again");
    if (look->rc < 0)
        return;
    if (!here && entry->away == ROSTER_HERE)
        entry->missing_ms = look->mono_ms;
    entry->away = here ? ROSTER_HERE : entry->away == ROSTER_HERE ? ROSTER_MISSING : entry->away;
    site->here += here;
    site->missing += just_missing(entry, look->mono_ms);
}

static void judge_site(struct look *look, struct absence_site *site)
{
    char text[160];
    const char *name = site->name[0] ? site->name : "robots without a site";
    size_t all = site->here + site->missing;
    if (!site->lost && site->missing >= ABSENCE_MIN_ROBOTS && site->missing * 5 > all) {
        snprintf(text, sizeof text, "link of %s lost: %zu of %zu robots fell silent within %d s", name,
                 site->missing, all, ABSENCE_TOGETHER_MS / 1000);
        say(look, "site.lost", NULL, text);
        site->lost = look->rc == 0;
        site->whole = all;
    } else if (site->lost && site->here * 5 >= site->whole * 4) {
        snprintf(text, sizeof text, "link of %s is back: %zu robots are heard", name, site->here);
        say(look, "site.back", NULL, text);
        site->lost = look->rc < 0;
    }
}

/* Who is missing alone, or with a site. */
static void settle(struct roster_entry *entry, void *arg)
{
    struct look *look = arg;
    const struct absence_site *site = site_of(look->absence, entry->site);
    if (entry->away != ROSTER_MISSING || !site || look->rc < 0)
        return;
    if (site->lost) {
        entry->away = ROSTER_LOST_WITH_SITE;
    } else if (!just_missing(entry, look->mono_ms)) {
        say(look, "robot.offline", entry->id, "it has not been heard for more than a minute");
        entry->away = look->rc < 0 ? entry->away : ROSTER_TOLD;
    }
}

/* Who was away when the server came up was told by the one before. */
static void take_as_told(struct roster_entry *entry, void *arg)
{
    const struct look *look = arg;
    if (roster_presence(entry, look->mono_ms) == PRESENCE_OFFLINE && !entry->heard)
        entry->away = ROSTER_LOST_WITH_SITE;
}

int absence_look(struct absence *absence, struct roster *roster, int64_t mono_ms, absence_tell *tell,
                 void *arg, struct err *err)
{
    struct look look = {.absence = absence, .mono_ms = mono_ms, .tell = tell, .arg = arg, .err = err};
    if (mono_ms < absence->start_ms + 3 * (int64_t)PRESENCE_PERIOD_MS) {
        if (mono_ms == absence->start_ms)
            roster_each(roster, take_as_told, &look);
        return 0;
    }
    for (size_t i = 0; i < absence->count; i++)
        absence->sites[i].here = absence->sites[i].missing = 0;
    roster_each(roster, notice, &look);
    for (size_t i = 0; i < absence->count && look.rc == 0; i++)
        judge_site(&look, &absence->sites[i]);
    roster_each(roster, settle, &look);
    return look.rc;
}
