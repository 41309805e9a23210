/* Every route: who may call it, whether it writes, and the right that an operator needs. The tests of rights are generated from these tables. */
#include "base/mem.h"
#include "fleet/api/call.h"

static const struct api_route robot_routes[] = {
    {HTTP_GET, "/api/v1/director", WHO_ROBOT, false, director_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_GET, "/api/v1/tuf/:file", WHO_ROBOT, false, tuf_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_GET, "/api/v1/commands", WHO_ROBOT, false, orders_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_POST, "/api/v1/renew", WHO_ROBOT, true, renew_post, RIGHT_NONE, REACH_NOBODY},
    {HTTP_GET, "/api/v1/blobs/:digest", WHO_ROBOT, false, blob_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_HEAD, "/api/v1/blobs/:digest", WHO_ROBOT, false, blob_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_POST, "/api/v1/reports", WHO_ROBOT, true, reports_post, RIGHT_NONE, REACH_NOBODY},
    {HTTP_POST, "/v1/metrics", WHO_ROBOT, true, metrics_post, RIGHT_NONE, REACH_NOBODY},
    {HTTP_POST, "/api/v1/samples", WHO_ROBOT, true, sample_post, RIGHT_NONE, REACH_NOBODY},
    {HTTP_GET, "/api/v1/audit/checkpoint", WHO_ROBOT, false, audit_checkpoint_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_GET, "/api/v1/audit/tile/*", WHO_ROBOT, false, audit_hashes_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_PUT, "/api/v1/incidents/:digest", WHO_ROBOT, true, incident_put, RIGHT_NONE, REACH_NOBODY},
    {HTTP_POST, "/api/v1/incidents", WHO_ROBOT, true, incident_post, RIGHT_NONE, REACH_NOBODY},
};

static const struct api_route operator_routes[] = {
    {HTTP_GET, "/healthz", WHO_ANYONE, false, healthz_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_POST, "/api/v1/enroll", WHO_ANYONE, true, enroll_post, RIGHT_NONE, REACH_NOBODY},
    {HTTP_POST, "/api/v1/enroll-tokens", WHO_OPERATOR, true, enroll_token_post, RIGHT_ENROLL, REACH_FLEET},
    {HTTP_GET, "/api/v1/robots", WHO_OPERATOR, false, robot_list, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/api/v1/series", WHO_OPERATOR, false, series_get, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/api/v1/robots/:id", WHO_OPERATOR, false, robot_get, RIGHT_SEE, REACH_ROBOT},
    {HTTP_POST, "/api/v1/robots/:id/revoke", WHO_OPERATOR, true, robot_revoke, RIGHT_REVOKE, REACH_ROBOT},
    {HTTP_POST, "/api/v1/robots/:id/release-quarantine", WHO_OPERATOR, true, robot_release_quarantine,
     RIGHT_REVOKE, REACH_ROBOT},
    {HTTP_GET, "/api/v1/blobs/:digest", WHO_OPERATOR, false, blob_get, RIGHT_FETCH, REACH_SOME},
    {HTTP_HEAD, "/api/v1/blobs/:digest", WHO_OPERATOR, false, blob_get, RIGHT_FETCH, REACH_SOME},
    {HTTP_PUT, "/api/v1/blobs/:digest", WHO_OPERATOR, false, blob_put, RIGHT_RELEASE, REACH_FLEET},
    {HTTP_POST, "/api/v1/releases", WHO_OPERATOR, true, release_post, RIGHT_RELEASE, REACH_FLEET},
    {HTTP_GET, "/api/v1/releases", WHO_OPERATOR, false, release_list, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/api/v1/releases/:digest", WHO_OPERATOR, false, release_get, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/api/v1/tuf/:file", WHO_OPERATOR, false, tuf_get, RIGHT_SEE, REACH_SOME},
    {HTTP_POST, "/api/v1/tuf/:role", WHO_OPERATOR, false, tuf_post, RIGHT_RELEASE, REACH_FLEET},
    {HTTP_POST, "/api/v1/approvals", WHO_OPERATOR, true, approval_post, RIGHT_APPROVE,
     REACH_SOME}, /* all robots that the approved plan selects, or the whole fleet: approvals.c */
    {HTTP_GET, "/api/v1/approvals", WHO_OPERATOR, false, approval_list, RIGHT_SEE, REACH_SOME},
    {HTTP_POST, "/api/v1/rollouts", WHO_OPERATOR, true, rollout_post, RIGHT_ROLL_OUT, REACH_NAMED},
    {HTTP_GET, "/api/v1/rollouts", WHO_OPERATOR, false, rollout_list, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/api/v1/rollouts/:id", WHO_OPERATOR, false, rollout_get, RIGHT_SEE, REACH_SOME},
    {HTTP_POST, "/api/v1/rollouts/:id/pause", WHO_OPERATOR, true, rollout_pause_post, RIGHT_HOLD_BACK,
     REACH_NAMED},
    {HTTP_POST, "/api/v1/rollouts/:id/resume", WHO_OPERATOR, true, rollout_resume_post, RIGHT_ROLL_OUT,
     REACH_NAMED},
    {HTTP_POST, "/api/v1/rollouts/:id/abort", WHO_OPERATOR, true, rollout_abort_post, RIGHT_HOLD_BACK,
     REACH_NAMED},
    {HTTP_POST, "/api/v1/commands", WHO_OPERATOR, true, command_post, RIGHT_ORDER, REACH_NAMED},
    {HTTP_GET, "/api/v1/commands", WHO_OPERATOR, false, command_list, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/api/v1/commands/:id", WHO_OPERATOR, false, command_show, RIGHT_SEE, REACH_NAMED},
    {HTTP_GET, "/api/v1/audit", WHO_OPERATOR, false, audit_get, RIGHT_AUDIT, REACH_FLEET},
    {HTTP_GET, "/api/v1/audit/checkpoint", WHO_OPERATOR, false, audit_checkpoint_get, RIGHT_AUDIT,
     REACH_FLEET},
    {HTTP_GET, "/api/v1/audit/checkpoints", WHO_OPERATOR, false, audit_checkpoints_get, RIGHT_AUDIT,
     REACH_FLEET},
    {HTTP_GET, "/api/v1/audit/proof", WHO_OPERATOR, false, audit_proof_get, RIGHT_AUDIT, REACH_FLEET},
    {HTTP_GET, "/api/v1/audit/tile/*", WHO_OPERATOR, false, audit_tile_get, RIGHT_AUDIT, REACH_FLEET},
    {HTTP_GET, "/api/v1/incidents", WHO_OPERATOR, false, incident_list, RIGHT_SEE_RECORDINGS, REACH_SOME},
    {HTTP_GET, "/api/v1/incidents/:id", WHO_OPERATOR, false, incident_get, RIGHT_SEE_RECORDINGS, REACH_NAMED},
    {HTTP_GET, "/api/v1/incidents/:id/file", WHO_OPERATOR, false, incident_file_get, RIGHT_SEE_RECORDINGS,
     REACH_NAMED},
    {HTTP_GET, "/api/v1/decisions", WHO_OPERATOR, false, decision_list, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/api/v1/drift", WHO_OPERATOR, false, drift_list, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/api/v1/drift/:id", WHO_OPERATOR, false, drift_get, RIGHT_SEE, REACH_SOME},
    {HTTP_POST, "/api/v1/drift/:id/acknowledge", WHO_OPERATOR, true, drift_acknowledge_post, RIGHT_REVIEW,
     REACH_FLEET},
    {HTTP_GET, "/api/v1/reviews", WHO_OPERATOR, false, review_list, RIGHT_SEE_RECORDINGS, REACH_SOME},
    {HTTP_GET, "/api/v1/reviews/:id", WHO_OPERATOR, false, review_get, RIGHT_SEE_RECORDINGS, REACH_NAMED},
    {HTTP_GET, "/api/v1/reviews/:id/picture", WHO_OPERATOR, false, review_picture_get, RIGHT_SEE_RECORDINGS,
     REACH_NAMED},
    {HTTP_POST, "/api/v1/reviews/:id", WHO_OPERATOR, true, review_post, RIGHT_REVIEW, REACH_NAMED},
    {HTTP_POST, "/api/v1/missed", WHO_OPERATOR, true, missed_post, RIGHT_REVIEW, REACH_NAMED},
    {HTTP_GET, "/api/v1/missed", WHO_OPERATOR, false, missed_list, RIGHT_SEE_RECORDINGS, REACH_SOME},
    {HTTP_GET, "/api/v1/accuracy", WHO_OPERATOR, false, accuracy_get, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/api/v1/alarms", WHO_OPERATOR, false, alarms_get, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/api/v1/events", WHO_OPERATOR, false, events_get, RIGHT_SEE, REACH_SOME},
    {HTTP_GET, "/metrics", WHO_OPERATOR, false, prometheus_get, RIGHT_SEE, REACH_FLEET},
    {HTTP_GET, "/", WHO_ANYONE, false, asset_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_GET, "/index.html", WHO_ANYONE, false, asset_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_GET, "/favicon.ico", WHO_ANYONE, false, asset_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_GET, "/favicon.svg", WHO_ANYONE, false, asset_get, RIGHT_NONE, REACH_NOBODY},
    {HTTP_GET, "/assets/*", WHO_ANYONE, false, asset_get, RIGHT_NONE, REACH_NOBODY},
};

struct api_routes api_robot_routes(void)
{
    return (struct api_routes){robot_routes, ARRAY_LEN(robot_routes)};
}

struct api_routes api_operator_routes(void)
{
    return (struct api_routes){operator_routes, ARRAY_LEN(operator_routes)};
}
