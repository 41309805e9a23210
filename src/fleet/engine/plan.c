#include "fleet/engine/plan.h"

#include "sys/hash.h"
#include "wire/assignment.h"

struct draft { /* robots of all waves in one list, wave by wave */
    const char **robots;
    struct plan_wave waves[ROLLOUT_MAX_WAVES];
};

static int fill(struct draft *draft, const struct rollout_spec *spec, const struct engine_view *view,
                struct err *err)
{
    size_t used = 0;
    draft->robots = mem_zalloc(view->view.count, sizeof *draft->robots);
    if (!draft->robots)
        return err_no_memory(err);
    for (size_t w = 0; w < spec->wave_count; w++) {
        struct plan_wave *wave = &draft->waves[w];
        *wave = (struct plan_wave){.name = spec->waves[w].name, .robots = draft->robots + used};
        for (size_t i = 0; i < view->view.count; i++)
            if (view->robots[i].planned == (int)w)
                draft->robots[used + wave->count++] = view->more[i].id;
        used += wave->count;
    }
    return 0;
}

static int keep(struct fleet *fleet, const char *text, struct digest *out, struct err *err)
{
    size_t len = strlen(text);
    uint64_t have = 0;
    *out = hash_bytes(text, len);
    const struct blobs_part part = {.digest = *out, .total = len, .data = text, .len = len};
    return blobs_put(fleet->blobs, &part, &have, err);
}

int plan_make(struct fleet *fleet, struct rollout *rollout, struct engine_view *out, struct err *err)
{
    struct release_row release = {0};
    struct draft draft = {0};
    if (fleet->store->ops->release_get(fleet->store, &rollout->release, &release, err) < 0 ||
        engine_view_load(fleet, rollout, out, err) < 0)
        return -1;
    if (out->view.count > PLAN_MAX_ROBOTS)
        return err_set(err, ERR_TOO_BIG, "%zu robots are selected; a plan names at most %d: select fewer",
                       out->view.count, PLAN_MAX_ROBOTS);
    rollout_plan(&rollout->spec, out->robots, out->view.count);
    if (fill(&draft, &rollout->spec, out, err) < 0)
        return -1;
    cleanup_free char *text = plan_format(&rollout->release, release.name, release.version,
                                          rollout->spec.name, draft.waves, rollout->spec.wave_count);
    free(draft.robots);
    return text ? keep(fleet, text, &rollout->plan, err) : err_no_memory(err);
}

int plan_store(struct fleet *fleet, uint64_t rollout, const struct engine_view *view, struct err *err)
{
    struct store *store = fleet->store;
    for (size_t i = 0; i < view->view.count; i++)
        if (view->robots[i].planned >= 0 &&
            store->ops->rollout_plan_add(store, rollout, view->more[i].id, view->robots[i].planned, err) < 0)
            return -1;
    return 0;
}
