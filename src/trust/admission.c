#include "trust/admission.h"
#include "base/digest.h"
#include "base/str.h"
#include "sys/hash.h"
#include "trust/approval.h"
#include "trust/tuf/signer.h"
#include "wire/instant.h"
#include "wire/release.h"
#include "wire/terms.h"

/* ---- the director's word ---- */

static int check_time(const struct admission_robot *robot, const struct assignment *assignment,
                      struct err *err)
{
    char then[INSTANT_SIZE], now[INSTANT_SIZE];
    bool early = robot->now_s < assignment->issued_s - ADMISSION_SKEW_S;
    if (!early && robot->now_s < assignment->expires_s)
        return 0;
    instant_format(early ? assignment->issued_s : assignment->expires_s, then);
    instant_format(robot->now_s, now);
    return trust_refuse(
        err, TRUST_ASSIGNMENT_EXPIRED, "assignment %llu %s %s; it is %s by this robot's clock",
        (unsigned long long)assignment->version, early ? "is valid from" : "expired at", then, now);
}

int admission_assignment(const struct admission_robot *robot, const struct assignment_envelope *envelope,
                         struct err *err)
{
    const struct assignment *assignment = &envelope->assignment;
    const struct tuf_root *root = robot->root;
    if (root->director.threshold < 1)
        return trust_refuse(err, TRUST_ASSIGNMENT_SIGNATURES,
                            "root names no director; add its key with `muster keys`");
    if (tuf_verify_text(&root->director, root->keys, root->key_count, envelope->signed_text,
                        envelope->signed_len, envelope->signatures, envelope->signature_count,
                        TRUST_ASSIGNMENT_SIGNATURES, "assignment", err) < 0)
        return -1;
    if (!root->fleet || !str_eq(root->fleet, assignment->fleet))
        return trust_refuse(err, TRUST_ASSIGNMENT_FLEET, "assignment of fleet %s, this robot is of %s",
                            assignment->fleet, root->fleet ? root->fleet : "none");
    if (!str_eq(robot->robot, assignment->robot))
        return trust_refuse(err, TRUST_ASSIGNMENT_ROBOT, "assignment of robot %s, this is %s",
                            assignment->robot, robot->robot);
    if (assignment->version < robot->accepted)
        return trust_refuse(err, TRUST_ASSIGNMENT_ROLLBACK,
                            "assignment %llu is older than %llu, which was accepted",
                            (unsigned long long)assignment->version, (unsigned long long)robot->accepted);
    return check_time(robot, assignment, err);
}

/* ---- the offline keys' word ---- */

static int check_target(const struct assignment *assignment, const struct tuf_target *target, struct err *err)
{
    if (!target || !assignment->path[0])
        return trust_refuse(err, TRUST_TARGETS_UNKNOWN, "%s is not released by the offline keys",
                            assignment->path[0] ? assignment->path : "nothing: it");
    if (!str_eq(target->path, assignment->path))
        return trust_refuse(err, TRUST_ASSIGNMENT_TARGET, "assigned is %s, looked up was %s",
                            assignment->path, target->path);
    if (target->length != assignment->length)
        return trust_refuse(err, TRUST_ASSIGNMENT_TARGET, "%s: assigned are %llu bytes, released were %llu",
                            assignment->path, (unsigned long long)assignment->length,
                            (unsigned long long)target->length);
    if (!target->hashes.has_sha256 ||
        memcmp(target->hashes.sha256, assignment->release.bytes, sizeof target->hashes.sha256) != 0)
        return trust_refuse(err, TRUST_ASSIGNMENT_TARGET,
                            "%s: assigned is manifest %.19s…, released was another", assignment->path,
                            digest_format(&assignment->release).text);
    return 0;
}

static int read_terms(const struct admission_robot *robot, const struct tuf_target *target, struct terms *out,
                      struct err *err)
{
    struct err cause = {0};
    if (terms_parse(target->custom, out, &cause) < 0)
        return trust_refuse(err, TRUST_RELEASE_TERMS, "%s: %s", target->path, cause.text);
    if (out->kind != TERMS_RELEASE)
        return trust_refuse(err, TRUST_RELEASE_TERMS, "%s is no release by its terms", target->path);
    if (!robot->root->fleet || !str_eq(out->fleet, robot->root->fleet))
        return trust_refuse(err, TRUST_RELEASE_FLEET, "%s was released to fleet %s, this robot is of %s",
                            target->path, out->fleet, robot->root->fleet ? robot->root->fleet : "none");
    return 0;
}

static bool is_below(const char *version, const char *floor)
{
    return floor[0] && version_compare(version, floor) < 0;
}

static int check_version(const struct admission_robot *robot, const struct assignment *assignment,
                         const struct terms *terms, const char *name, const char *version, struct err *err)
{
    const char *floor = is_below(version, robot->floor) ? robot->floor : terms->floor;
    if (is_below(version, floor))
        return trust_refuse(err, TRUST_RELEASE_FLOOR, "%s is below %s, under which this robot never goes",
                            assignment->path, floor);
    if (!assignment->rollback && str_eq(name, robot->running_name) &&
        is_below(version, robot->running_version))
        return trust_refuse(err, TRUST_RELEASE_OLDER,
                            "%s is older than %s, which runs; assign it as a rollback", assignment->path,
                            robot->running_version);
    return 0;
}

/* ---- the people's word ---- */

static bool wants_plan(const struct terms *terms)
{
    return terms->threshold > 0 && terms->scope == TERMS_OF_PLAN;
}

static int check_plan(const struct admission_robot *robot, const struct admission_evidence *evidence,
                      const struct terms *terms, struct err *err)
{
    const struct assignment *assignment = evidence->assignment;
    struct err cause = {0};
    if (digest_is_zero(&assignment->plan))
        return wants_plan(terms) ? trust_refuse(err, TRUST_PLAN_OTHER,
                                                "%s wants an approved plan, and the assignment follows none",
                                                assignment->path)
                                 : 0;
    if (!evidence->plan)
        return trust_refuse(err, TRUST_PLAN_OTHER, "the plan of the assignment is not there");
    struct digest digest = hash_bytes(evidence->plan, evidence->plan_len);
    if (!digest_equal(&digest, &assignment->plan))
        return trust_refuse(err, TRUST_PLAN_OTHER, "the plan is %.19s…, the assignment names another",
                            digest_format(&digest).text);
    if (plan_check(evidence->plan, evidence->plan_len, &assignment->release, robot->robot, &cause) < 0)
        return trust_refuse(err, TRUST_PLAN_OTHER, "%s", cause.text);
    return 0;
}

struct ballot { /* one judging of the approvals */
    const struct admission_robot *robot;
    const struct assignment *assignment;
    const struct terms *terms;
    const char *name, *version;
    bool counted[TERMS_MAX_OPERATORS];
    int count;
    struct err forged,
        idle; /* the first of each that did not count; a forged one, one that holds but not here or now */
};

static int seat_of(const struct terms *terms, const char *operator_name)
{
    for (size_t i = 0; i < terms->operator_count; i++)
        if (str_eq(terms->operators[i], operator_name))
            return (int)i;
    return -1;
}

/* "of": "plan" wants the very plan; else an approval for a plan counts within that plan only, and one without in any. */
static bool fits_plan(const struct ballot *ballot, const struct approval *approval)
{
    if (digest_equal(&approval->plan, &ballot->assignment->plan))
        return true;
    return ballot->terms->scope == TERMS_OF_RELEASE && digest_is_zero(&approval->plan);
}

static bool is_for_this(const struct ballot *ballot, const struct approval *approval)
{
    return str_eq(approval->fleet, ballot->terms->fleet) &&
           digest_equal(&approval->release, &ballot->assignment->release) &&
           str_eq(approval->name, ballot->name) && str_eq(approval->version, ballot->version) &&
           fits_plan(ballot, approval);
}

static bool is_kept(const struct ballot *ballot)
{
    for (size_t i = 0; i < ballot->robot->kept_count; i++)
        if (digest_equal(&ballot->robot->kept[i], &ballot->assignment->release))
            return true;
    return false;
}

static bool is_timely(const struct ballot *ballot, const struct approval *approval)
{
    int64_t now_s = ballot->robot->now_s;
    return now_s >= approval->issued_ms / 1000 - ADMISSION_SKEW_S &&
           (now_s < approval->expires_ms / 1000 || is_kept(ballot));
}

static void note(struct err *slot, const char *operator_name, const char *what)
{
    if (slot->code == ERR_NONE)
        err_set(slot, ERR_UNTRUSTED, "%s%s%s", operator_name, operator_name[0] ? ": " : "", what);
}

static int open_approval(const struct ballot *ballot, const struct text_span *text, struct approval *out,
                         struct err *err)
{
    cleanup_envelope struct envelope envelope = {0};
    if (approval_envelope_parse(text->text, text->len, &envelope, err) < 0)
        return -1;
    return approval_open(&envelope, ballot->robot->operators, out, err);
}

static void judge(struct ballot *ballot, const struct text_span *text)
{
    struct err cause = {0};
    struct approval approval = {0};
    if (open_approval(ballot, text, &approval, &cause) < 0) {
        note(&ballot->forged, "", cause.text);
        return;
    }
    int seat = seat_of(ballot->terms, approval.operator_name);
    if (!is_for_this(ballot, &approval))
        note(&ballot->forged, approval.operator_name, "signed for something else");
    else if (!is_timely(ballot, &approval))
        note(&ballot->idle, approval.operator_name, "has expired, or is not valid yet");
    else if (seat < 0)
        note(&ballot->idle, approval.operator_name, "is not asked by the terms");
    else if (!ballot->counted[seat]) {
        ballot->counted[seat] = true;
        ballot->count++;
    }
}

/* Bad approvals beside enough good ones change nothing: whoever carries them could add some at any time. */
static int check_approvals(const struct ballot *cast, const struct admission_evidence *evidence,
                           struct err *err)
{
    struct ballot ballot = *cast;
    int needed = ballot.terms->threshold;
    if (needed == 0)
        return 0;
    if (!ballot.robot->operators)
        return trust_refuse(err, TRUST_APPROVALS_MISSING,
                            "%s wants %d approvals, and this robot knows no operators' keys",
                            ballot.assignment->path, needed);
    for (size_t i = 0; i < evidence->approval_count && i < ASSIGNMENT_MAX_APPROVALS; i++)
        judge(&ballot, &evidence->approvals[i]);
    if (ballot.count >= needed)
        return 0;
    bool forged = ballot.forged.code != ERR_NONE;
    const struct err *why = forged ? &ballot.forged : &ballot.idle;
    return trust_refuse(err, forged ? TRUST_APPROVALS_FORGED : TRUST_APPROVALS_MISSING,
                        "%d of %d approvals of %s hold%s%s", ballot.count, needed, ballot.assignment->path,
                        why->text[0] ? ": " : "", why->text);
}

/* ---- both ---- */

static void raise_floor(const char *floor, const char *by_terms, char out[64])
{
    if (!by_terms[0])
        out[0] = 0;
    else
        str_copy(out, 64, is_below(by_terms, floor) ? floor : by_terms);
}

int admission_target(const struct admission_robot *robot, const struct admission_evidence *evidence,
                     char out_floor[64], struct err *err)
{
    char name[64] = "", version[64] = "";
    struct terms terms;
    const struct assignment *assignment = evidence->assignment;
    if (check_target(assignment, evidence->target, err) < 0)
        return -1;
    if (!assignment_path_split(assignment->path, name, version))
        return trust_refuse(err, TRUST_ASSIGNMENT_FORM, "%s is no NAME/VERSION", assignment->path);
    if (read_terms(robot, evidence->target, &terms, err) < 0 ||
        check_version(robot, assignment, &terms, name, version, err) < 0 ||
        check_plan(robot, evidence, &terms, err) < 0)
        return -1;
    struct ballot ballot = {
        .robot = robot, .assignment = assignment, .terms = &terms, .name = name, .version = version};
    if (check_approvals(&ballot, evidence, err) < 0)
        return -1;
    raise_floor(robot->floor, terms.floor, out_floor);
    return 0;
}
