#include "wire/sbom.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json_write.h"

#include <inttypes.h>

static const char *const kind_words[] = {
    [SBOM_FRAMEWORK] = "framework", [SBOM_LIBRARY] = "library", [SBOM_APPLICATION] = "application",
    [SBOM_DATA] = "data",           [SBOM_FILE] = "file",       [SBOM_MODEL] = "machine-learning-model"};

int sbom_add(struct sbom *sbom, enum sbom_kind kind, const char *name, const char *version, const char *role,
             const struct digest *digest, struct err *err)
{
    struct sbom_component *grown = mem_grow(sbom->components, sbom->count + 1, sizeof *grown);
    if (!grown)
        return err_no_memory(err);
    sbom->components = grown;
    struct sbom_component *component = &grown[sbom->count];
    *component = (struct sbom_component){
        .kind = kind, .name = mem_strdup(name), .version = mem_strdup(version), .role = mem_strdup(role)};
    if (digest)
        component->digest = *digest;
    sbom->count++;
    return component->name && component->version && component->role ? 0 : err_no_memory(err);
}

void sbom_fini(struct sbom *sbom)
{
    for (size_t i = 0; i < sbom->count; i++) {
        free(sbom->components[i].name);
        free(sbom->components[i].version);
        free(sbom->components[i].role);
    }
    free(sbom->components);
    sbom->components = NULL;
    sbom->count = 0;
}

/* ---- writing: each gives NULL where something cannot be written, and that ends in NULL at the top ---- */

static int put_hash(json_t *object, const struct digest *digest)
{
    char hex[65];
    if (digest_is_zero(digest))
        return 0;
    hex_encode(digest->bytes, sizeof digest->bytes, hex);
    return json_object_set_new(object, "hashes", json_pack("[{s:s, s:s}]", "alg", "SHA-256", "content", hex));
}

static json_t *from_component(const struct sbom_component *component)
{
    cleanup_json json_t *out = json_pack("{s:s, s:s, s:s}", "type", kind_words[component->kind], "bom-ref",
                                         component->name, "name", component->name);
    if (!out || json_put_text(out, "version", component->version) < 0 ||
        put_hash(out, &component->digest) < 0)
        return NULL;
    if (component->role[0] &&
        json_object_set_new(out, "properties",
                            json_pack("[{s:s, s:s}]", "name", "muster:role", "value", component->role)) < 0)
        return NULL;
    return TAKE_PTR(out);
}

static json_t *from_components(const struct sbom *sbom)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < sbom->count; i++)
        if (json_append(list, from_component(&sbom->components[i])) < 0)
            return NULL;
    return TAKE_PTR(list);
}

/* "float32[1,3,128,160] images" */
static json_t *from_tensor(const struct tensor_spec *tensor)
{
    char text[256];
    size_t used = (size_t)snprintf(text, sizeof text, "%s[", tensor_dtype_name(tensor->dtype));
    for (size_t i = 0; i < tensor->dim_count; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64, i ? "," : "", tensor->dims[i]);
    snprintf(text + used, sizeof text - used, "] %s", tensor->name);
    return json_pack("{s:o}", "format", json_from_line(text));
}

static json_t *from_tensors(const struct tensor_spec *tensors, size_t count)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_append(list, from_tensor(&tensors[i])) < 0)
            return NULL;
    return TAKE_PTR(list);
}

static json_t *from_references(const struct sbom *sbom, bool data_only)
{
    cleanup_json json_t *list = json_array();
    for (size_t i = 0; i < sbom->count; i++) {
        const struct sbom_component *component = &sbom->components[i];
        if (data_only && component->kind != SBOM_DATA)
            continue;
        json_t *item = data_only ? json_pack("{s:s}", "ref", component->name) : json_string(component->name);
        if (json_append(list, item) < 0)
            return NULL;
    }
    return TAKE_PTR(list);
}

static json_t *from_card(const struct sbom *sbom)
{
    const struct release *release = sbom->release;
    return json_pack("{s:{s:s, s:o, s:o, s:o}}", "modelParameters", "task", task_name(release->task),
                     "inputs", from_tensors(release->inputs, release->input_count), "outputs",
                     from_tensors(release->outputs, release->output_count), "datasets",
                     from_references(sbom, true));
}

static json_t *from_properties(const struct sbom *sbom)
{
    cleanup_json json_t *list = json_array();
    if (sbom->model_signer[0] && json_append(list, json_pack("{s:s, s:s}", "name", "muster:model-signer",
                                                             "value", sbom->model_signer)) < 0)
        return NULL;
    if (sbom->sealed &&
        json_append(list, json_pack("{s:s, s:s}", "name", "muster:sealed", "value", "true")) < 0)
        return NULL;
    return TAKE_PTR(list);
}

static json_t *from_model(const struct sbom *sbom)
{
    const struct release *release = sbom->release;
    cleanup_json json_t *out =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "type", "machine-learning-model", "bom-ref", "release",
                  "name", release->name, "version", release->version, "modelCard", from_card(sbom),
                  "properties", from_properties(sbom));
    if (!out || put_hash(out, &sbom->weights) < 0 ||
        json_put_text(out, "description", release->description) < 0)
        return NULL;
    return TAKE_PTR(out);
}

static void uuid_text(const uint8_t identity[16], char out[48])
{
    char hex[33];
    uint8_t bytes[16];
    memcpy(bytes, identity, sizeof bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x80; /* version 8: made of the contents, RFC 9562 */
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    hex_encode(bytes, sizeof bytes, hex);
    snprintf(out, 48, "urn:uuid:%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

char *sbom_format(const struct sbom *sbom, const uint8_t identity[16])
{
    cleanup_json json_t *root =
        json_pack("{s:s, s:s, s:i, s:{s:s, s:{s:[{s:s, s:s, s:s}]}, s:o}, s:o, s:[{s:s, s:o}]}", "bomFormat",
                  "CycloneDX", "specVersion", "1.6", "version", 1, "metadata", "timestamp", sbom->created,
                  "tools", "components", "type", "application", "name", "muster", "version",
                  sbom->tool_version, "component", from_model(sbom), "components", from_components(sbom),
                  "dependencies", "ref", "release", "dependsOn", from_references(sbom, false));
    char serial[48];
    if (!root)
        return NULL;
    if (identity) {
        uuid_text(identity, serial);
        if (json_object_set_new(root, "serialNumber", json_string(serial)) < 0)
            return NULL;
    }
    return json_write(root);
}
