/* Releases: taken in only when every blob is here and verifies, the model fits its release.json and the offline keys released it: the
 * published targets name it. The server has no release key; it only checks. */
#include "base/clock.h"
#include "base/str.h"
#include "fleet/api/call.h"
#include "fleet/authority/authority.h"
#include "fleet/engine/consent.h"
#include "release/image.h"
#include "trust/rule.h"
#include "wire/json.h"

static int parse_request(struct call *call, struct digest *out_manifest, struct err *err)
{
    size_t len;
    const uint8_t *body = http_body(call->request, &len);
    struct json_reader reader;
    if (json_read(&reader, "request", body, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    JSON_ONLY(root, "manifest");
    json_get_digest(root, "manifest", out_manifest);
    return json_finish(&reader, err);
}

/* The targets name exactly these bytes, for this fleet. */
static int check_targets(struct fleet *fleet, const struct image *image, struct err *err)
{
    struct authority_release said;
    const struct release *release = &image->release;
    if (authority_release(fleet->authority, release->name, release->version, clock_wall_ms() / 1000, &said,
                          err) < 0)
        return -1;
    if (said.length == image->size && digest_equal(&said.digest, &image->digest))
        return 0;
    return trust_refuse(err, TRUST_ASSIGNMENT_TARGET,
                        "the targets name other bytes as %s/%s: manifest %.19s…", release->name,
                        release->version, digest_format(&said.digest).text);
}

static uint64_t total_bytes(const struct image *image)
{
    uint64_t sum = image->size + image->manifest.config.size;
    for (size_t i = 0; i < image->manifest.layer_count; i++)
        sum += image->manifest.layers[i].size;
    return sum;
}

static void fill_row(struct fleet *fleet, const struct image *image, struct release_row *row)
{
    const struct release *release = &image->release;
    *row = (struct release_row){.digest = image->digest,
                                .manifest_bytes = image->size,
                                .size_bytes = total_bytes(image),
                                .latency_p99_ms = release->budgets.latency_p99_ms,
                                .deadline_ms = release->budgets.deadline_ms,
                                .memory_mib = release->budgets.memory_mib,
                                .max_miss_share = release->envelope.max_miss_share,
                                .created_ms = clock_wall_ms()};
    str_copy(row->name, sizeof row->name, release->name);
    str_copy(row->version, sizeof row->version, release->version);
    row->signer_count = authority_signers(fleet->authority, row->signed_by, ARRAY_LEN(row->signed_by));
}

static int check_image(struct call *call, const struct digest *manifest, struct release_row *row,
                       struct err *err)
{
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    if (!image)
        return err_no_memory(err);
    if (image_open(blobs_dir(call->fleet->blobs), manifest, image, err) < 0)
        return -1;
    int rc = check_targets(call->fleet, image, err);
    if (rc == 0)
        rc = image_check_blobs(image, err);
    if (rc == 0)
        rc = image_check_model(image, err);
    if (rc == 0)
        fill_row(call->fleet, image, row);
    image_close(image);
    return rc;
}

/* The manifest gets into index.json for the check (it is how a layout names its releases) and leaves it again
 * if the release is refused. */
static int take_in(struct call *call, const struct digest *manifest, bool known, struct release_row *row,
                   struct err *err)
{
    const char *dir = blobs_dir(call->fleet->blobs);
    struct oci_descriptor descriptor = {.digest = *manifest};
    str_copy(descriptor.media_type, sizeof descriptor.media_type, OCI_MANIFEST_TYPE);
    str_copy(descriptor.artifact_type, sizeof descriptor.artifact_type, MODELPACK_ARTIFACT_TYPE);
    if (blobs_size(call->fleet->blobs, manifest, &descriptor.size, err) < 0)
        return err_prefix(err, "manifest");
    if (!known && layout_add_manifest(dir, &descriptor, err) < 0)
        return -1;
    if (check_image(call, manifest, row, err) == 0)
        return 0;
    struct err ignored = {0};
    if (!known && layout_remove_manifest(dir, manifest, &ignored) < 0)
        return err_prefix(err, "%s", ignored.text);
    return -1;
}

/* What the offline keys say of it now; null: they do not name it (any more). */
static void write_terms(struct json_writer *w, struct fleet *fleet, const struct digest *digest)
{
    static const struct digest no_plan = {0};
    struct consent consent;
    struct err ignored = {0};
    bool known = consent_ask(fleet, digest, &no_plan, &consent, &ignored) == 0;
    jsonw_boolean(w, "withdrawn", known && consent.withdrawn);
    if (!known || !consent.published) {
        jsonw_nothing(w, "terms");
        return;
    }
    jsonw_object(w, "terms");
    jsonw_i64(w, "approvals", consent.terms.threshold);
    jsonw_text(w, "of", consent.terms.scope == TERMS_OF_PLAN ? "plan" : "release");
    jsonw_array(w, "operators");
    for (size_t i = 0; i < consent.terms.operator_count; i++)
        jsonw_text(w, NULL, consent.terms.operators[i]);
    jsonw_close(w);
    jsonw_text(w, "floor", consent.terms.floor);
    jsonw_close(w);
}

static void write_release(struct json_writer *w, struct fleet *fleet, const char *key,
                          const struct release_row *row)
{
    jsonw_object(w, key);
    jsonw_digest(w, "digest", &row->digest);
    jsonw_text(w, "name", row->name);
    jsonw_text(w, "version", row->version);
    jsonw_u64(w, "size_bytes", row->size_bytes);
    jsonw_array(w, "signed_by");
    for (size_t i = 0; i < row->signer_count; i++)
        jsonw_text(w, NULL, row->signed_by[i]);
    jsonw_close(w);
    jsonw_i64(w, "created_ms", row->created_ms);
    write_terms(w, fleet, &row->digest);
    jsonw_object(w, "budgets");
    jsonw_real(w, "latency_p99_ms", row->latency_p99_ms);
    jsonw_real(w, "deadline_ms", row->deadline_ms);
    jsonw_i64(w, "memory_mib", row->memory_mib);
    jsonw_close(w);
    struct telemetry_row telemetry = {0};
    struct err absent = {0};
    if (fleet->store->ops->telemetry_get(fleet->store, &row->digest, "", &telemetry, &absent) < 0) {
        telemetry = (struct telemetry_row){0};
        exphist_init(&telemetry.latency_ms);
        exphist_init(&telemetry.frame_ms);
    }
    jsonw_object(w, "telemetry");
    view_telemetry(w, &telemetry, row->latency_p99_ms);
    jsonw_close(w);
    jsonw_close(w);
}

static int record(struct call *call, const struct release_row *row, struct err *err)
{
    char text[160];
    snprintf(text, sizeof text, "%s %s", row->name, row->version);
    const struct audit_entry entry = {
        .kind = "release", .who = call->operator_name, .what = "push", .release = row->digest, .text = text};
    return fleet_audit(call->fleet, &entry, err);
}

/* What this server could not look at has to be known to who relies on it. */
static const char *told_of_sealed(struct call *call, const struct digest *manifest)
{
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    struct err ignored = {0};
    if (!image || image_open(blobs_dir(call->fleet->blobs), manifest, image, &ignored) < 0)
        return "";
    bool sealed = image_is_sealed(image);
    image_close(image);
    return sealed ? "; its weights are sealed, so their tensors were not looked at" : "";
}

int release_post(struct call *call, struct err *err)
{
    struct store *store = call->fleet->store;
    struct digest manifest;
    struct release_row row = {0}, old = {0};
    if (parse_request(call, &manifest, err) < 0)
        return -1;
    struct err absent = {0};
    bool known = store->ops->release_get(store, &manifest, &old, &absent) == 0;
    if (!known && absent.code != ERR_NOT_FOUND)
        return *err = absent, -1;
    if (take_in(call, &manifest, known, &row, err) < 0)
        return -1;
    if (known) {
        if (store->ops->release_sign(store, &row, err) < 0)
            return -1;
        row.created_ms = old.created_ms;
    } else if (store->ops->release_add(store, &row, err) < 0) {
        return err->code == ERR_EXISTS
                   ? err_set(err, ERR_EXISTS, "another release is called %s:%s; give it a new version",
                             row.name, row.version)
                   : -1;
    } else if (fleet_event(call->fleet, "release", NULL, err, "%s %s was pushed by %s%s", row.name,
                           row.version, call->operator_name, told_of_sealed(call, &row.digest)) < 0) {
        return -1;
    }
    if (record(call, &row, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    write_release(&w, call->fleet, NULL, &row);
    return call_writer(call, known ? 200 : 201, &w, err);
}

struct listing {
    struct json_writer *w;
    struct fleet *fleet;
};

static int list_one(const struct release_row *row, void *arg)
{
    struct listing *listing = arg;
    write_release(listing->w, listing->fleet, NULL, row);
    return 0;
}

int release_list(struct call *call, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "releases");
    struct listing listing = {.w = &w, .fleet = call->fleet};
    if (call->fleet->store->ops->release_each(call->fleet->store, list_one, &listing, err) < 0)
        return -1;
    jsonw_close(&w);
    jsonw_close(&w);
    return call_writer(call, 200, &w, err);
}

int release_get(struct call *call, struct err *err)
{
    struct digest digest;
    struct release_row row = {0};
    if (call_digest(call, &digest, err) < 0 ||
        call->fleet->store->ops->release_get(call->fleet->store, &digest, &row, err) < 0)
        return -1;
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    write_release(&w, call->fleet, NULL, &row);
    return call_writer(call, 200, &w, err);
}
