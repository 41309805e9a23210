/* Approvals: what named operators signed (trust/approval.h), carried to robots, which judge them again. The server takes in only what can
 * count: signed by an operator that the release's terms name, for this fleet, this release, and a plan that there is. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "fleet/authority/authority.h"
#include "fleet/engine/consent.h"
#include "trust/approval.h"
#include "trust/rule.h"

enum { SLOW_CLOCK_MS = 300000 };

static int open_envelope(struct call *call, struct approval *out, char **out_text, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    cleanup_envelope struct envelope envelope = {0};
    cleanup_free struct keyring *ring = mem_zalloc(1, sizeof *ring);
    if (!ring)
        return err_no_memory(err);
    if (approval_envelope_parse(body, len, &envelope, err) < 0)
        return -1;
    if (consent_operators(call->fleet, ring, err) < 0) {
        err->code = err->code == ERR_NOT_FOUND ? ERR_CONFLICT : err->code;
        return -1;
    }
    if (approval_open(&envelope, ring, out, err) < 0) {
        struct err cause = *err;
        return cause.code == ERR_UNTRUSTED ? trust_refuse(err, TRUST_APPROVALS_FORGED, "%s", cause.text) : -1;
    }
    *out_text = approval_envelope_format(&envelope);
    return *out_text ? 0 : err_no_memory(err);
}

static int check_time(const struct approval *approval, struct err *err)
{
    int64_t now_ms = clock_wall_ms();
    if (approval->expires_ms <= now_ms)
        return err_set(err, ERR_REFUSED, "the approval of %s has expired; sign it anew",
                       approval->operator_name);
    if (approval->issued_ms > now_ms + SLOW_CLOCK_MS)
        return err_set(err, ERR_REFUSED,
                       "the approval of %s is from the future; set the clock of the workstation",
                       approval->operator_name);
    return 0;
}

static int check_release(struct call *call, const struct approval *approval, struct err *err)
{
    struct release_row row = {0};
    if (!str_eq(approval->fleet, authority_fleet(call->fleet->authority)))
        return trust_refuse(err, TRUST_APPROVALS_FORGED, "the approval is for fleet %s, this is %s",
                            approval->fleet, authority_fleet(call->fleet->authority));
    if (call->fleet->store->ops->release_get(call->fleet->store, &approval->release, &row, err) < 0)
        return -1;
    if (!str_eq(row.name, approval->name) || !str_eq(row.version, approval->version))
        return trust_refuse(err, TRUST_APPROVALS_FORGED, "the approval calls this release %s %s, it is %s %s",
                            approval->name, approval->version, row.name, row.version);
    return 0;
}

static int check_terms(struct call *call, const struct approval *approval, struct err *err)
{
    struct consent consent;
    bool named = false;
    if (consent_ask(call->fleet, &approval->release, &approval->plan, &consent, err) < 0)
        return -1;
    if (consent.withdrawn)
        return err_set(err, ERR_CONFLICT, "%s %s cannot be approved: %s", approval->name, approval->version,
                       consent.why);
    for (size_t i = 0; i < consent.terms.operator_count; i++)
        named = named || str_eq(consent.terms.operators[i], approval->operator_name);
    if (!named)
        return err_set(err, ERR_REFUSED, "%s %s does not ask for the approval of %s", approval->name,
                       approval->version, approval->operator_name);
    if (consent.terms.scope == TERMS_OF_PLAN && digest_is_zero(&approval->plan))
        return err_set(err, ERR_REFUSED, "%s %s wants approval of a rollout's plan; approve the rollout",
                       approval->name, approval->version);
    return 0;
}

/* ---- the operator who carries it must reach those whom it lets install something ---- */

struct plan_search {
    const struct digest *plan;
    bool found;
    struct rollout_spec spec;
};

static int find_plan(const struct rollout_row *row, void *arg)
{
    struct plan_search *search = arg;
    search->found = digest_equal(&row->rollout.plan, search->plan);
    if (search->found)
        search->spec = row->rollout.spec;
    return search->found;
}

static int check_reach(struct call *call, const struct approval *approval, struct err *err)
{
    if (digest_is_zero(&approval->plan))
        return call_may_select(call, RIGHT_APPROVE, NULL, 0, err);
    cleanup_free struct plan_search *search = mem_zalloc(1, sizeof *search);
    if (!search)
        return err_no_memory(err);
    search->plan = &approval->plan;
    if (call->fleet->store->ops->rollout_each(call->fleet->store, true, find_plan, search, err) < 0)
        return -1;
    if (!search->found)
        return err_set(err, ERR_NOT_FOUND, "no rollout that is open has the plan %.19s…",
                       digest_format(&approval->plan).text);
    return call_may_select(call, RIGHT_APPROVE, search->spec.select, search->spec.select_count, err);
}

/* ---- robots that are assigned the release and have not got it: they get what they lacked ---- */

enum { BATCH = 256 };

struct lacking {
    const struct digest *release;
    size_t count;
    struct robot_row rows[BATCH];
};

static int note_lacking(const struct robot_row *row, void *arg)
{
    struct lacking *lacking = arg;
    if (!row->revoked && digest_equal(&row->target, lacking->release) &&
        !digest_equal(&row->running, lacking->release))
        lacking->rows[lacking->count++] = *row;
    return lacking->count == BATCH;
}

static int reissue_lacking(struct call *call, const struct digest *release, struct err *err)
{
    struct store *store = call->fleet->store;
    char after[API_ID_SIZE] = "";
    cleanup_free struct lacking *lacking = mem_zalloc(1, sizeof *lacking);
    if (!lacking)
        return err_no_memory(err);
    lacking->release = release;
    do {
        lacking->count = 0;
        if (store->ops->robot_each(store, after, -1, note_lacking, lacking, err) < 0)
            return -1;
        for (size_t i = 0; i < lacking->count; i++)
            if (fleet_reissue(call->fleet, &lacking->rows[i], 0, err) < 0)
                return -1;
        if (lacking->count)
            str_copy(after, sizeof after, lacking->rows[lacking->count - 1].id);
    } while (lacking->count == BATCH);
    return 0;
}

/* ---- taking in ---- */

static int put_on_record(struct call *call, const struct approval *approval, struct err *err)
{
    char text[200];
    snprintf(text, sizeof text, "%s %s, %s", approval->name, approval->version,
             digest_is_zero(&approval->plan) ? "any rollout" : digest_format(&approval->plan).text);
    const struct audit_entry entry = {.kind = "approval",
                                      .who = approval->operator_name,
                                      .what = "approve",
                                      .why = approval->reason,
                                      .text = text,
                                      .sent_by = call->operator_name,
                                      .release = approval->release};
    return fleet_audit(call->fleet, &entry, err);
}

static int save(struct call *call, const struct approval *approval, const char *text,
                struct approval_row *row, struct err *err)
{
    *row = (struct approval_row){.release = approval->release,
                                 .plan = approval->plan,
                                 .issued_ms = approval->issued_ms,
                                 .expires_ms = approval->expires_ms,
                                 .created_ms = clock_wall_ms(),
                                 .envelope = mem_strdup(text)};
    str_copy(row->operator_name, sizeof row->operator_name, approval->operator_name);
    str_copy(row->reason, sizeof row->reason, approval->reason);
    str_copy(row->sent_by, sizeof row->sent_by, call->operator_name);
    if (!row->envelope)
        return err_no_memory(err);
    return call->fleet->store->ops->approval_save(call->fleet->store, row, err);
}

static void write_approval(struct json_writer *w, const struct approval_row *row)
{
    jsonw_object(w, NULL);
    jsonw_text(w, "operator", row->operator_name);
    jsonw_digest(w, "release", &row->release);
    jsonw_digest(w, "plan", &row->plan);
    jsonw_text(w, "reason", row->reason);
    jsonw_i64(w, "issued_ms", row->issued_ms);
    jsonw_i64(w, "expires_ms", row->expires_ms);
    jsonw_i64(w, "created_ms", row->created_ms);
    jsonw_text(w, "sent_by", row->sent_by);
    jsonw_raw(w, "envelope", row->envelope);
    jsonw_close(w);
}

int approval_post(struct call *call, struct err *err)
{
    struct approval approval;
    cleanup_free char *text = NULL;
    cleanup_approval_row struct approval_row row = {0};
    if (open_envelope(call, &approval, &text, err) < 0 || check_time(&approval, err) < 0 ||
        check_release(call, &approval, err) < 0 || check_terms(call, &approval, err) < 0 ||
        check_reach(call, &approval, err) < 0 || put_on_record(call, &approval, err) < 0 ||
        save(call, &approval, text, &row, err) < 0 || reissue_lacking(call, &approval.release, err) < 0 ||
        fleet_event(call->fleet, "approval", NULL, err, "%s approves %s %s: %s", approval.operator_name,
                    approval.name, approval.version, approval.reason) < 0)
        return -1;
    call->fleet->dirty = true;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    write_approval(&w, &row);
    return call_writer(call, 201, &w, err);
}

static int list_one(const struct approval_row *row, void *arg)
{
    write_approval(arg, row);
    return 0;
}

int approval_list(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    const char *text = http_query(call->request, "release");
    struct digest release = {0};
    if (text && !digest_parse(text, &release))
        return err_set(err, ERR_INVALID, "query parameter release wants a digest: sha256: and 64 digits");
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "approvals");
    if (store->ops->approval_each(store, text ? &release : NULL, list_one, &w, err) < 0)
        return -1;
    jsonw_close(&w);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}
