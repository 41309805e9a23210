#include "base/mem.h"
#include "base/str.h"
#include "wire/instant.h"
#include "wire/oms_inside.h"
#include "wire/sigstore.h"

/* ---- times ---- */

/* A fraction of a second (up to 9 digits) is cut off: what ends at …59.999 counts in that second to its end. */
static bool parse_time(char *text, int64_t *out_s)
{
    char *dot = strchr(text, '.');
    size_t digits = dot ? strspn(dot + 1, "0123456789") : 0;
    if (digits >= 1 && digits <= 9 && str_eq(dot + 1 + digits, "Z"))
        memcpy(dot, "Z", 2);
    return instant_parse(text, out_s);
}

static void read_time(struct json_at at, const char *key, int64_t *out_s)
{
    char text[INSTANT_SIZE + 12] = "";
    json_get_string(at, key, text, sizeof text);
    if (!parse_time(text, out_s))
        json_fail(at, "%s: is not a time as 2026-01-02T03:04:05Z", key);
}

static void read_span(struct json_at at, struct sigstore_span *out)
{
    struct json_at span = json_child(at, "validFor");
    out->until_s = INT64_MAX;
    read_time(span, "start", &out->from_s);
    if (json_has(span, "end"))
        read_time(span, "end", &out->until_s);
}

bool sigstore_span_holds(const struct sigstore_span *span, int64_t time_s)
{
    return span->from_s <= time_s && time_s <= span->until_s;
}

/* ---- logs ---- */

static void read_log(struct json_at at, struct sigstore_log *out)
{
    struct json_at key = json_child(at, "publicKey");
    oms_get_hash(json_child(at, "logId"), "keyId", &out->id);
    oms_get_bytes(key, "rawBytes", SIGSTORE_MAX_KEY_BYTES, &out->key);
    read_span(key, &out->valid);
}

static void read_logs(struct json_at root, const char *key, struct sigstore_logs *out)
{
    size_t count = 0;
    struct json_at list = json_list(root, key, SIGSTORE_MAX_LOGS, &count);
    for (size_t i = 0; i < count && root.reader->err.code == ERR_NONE; i++)
        read_log(json_as_object(json_item(list, i)), &out->items[out->count++]);
}

const struct sigstore_log *sigstore_find_log(const struct sigstore_logs *logs, const struct digest *id,
                                             int64_t time_s)
{
    for (size_t i = 0; i < logs->count; i++)
        if (digest_equal(&logs->items[i].id, id) && sigstore_span_holds(&logs->items[i].valid, time_s))
            return &logs->items[i];
    return NULL;
}

/* ---- authorities ---- */

static void read_authority(struct json_at at, struct sigstore_authority *out)
{
    size_t count = 0;
    struct json_at list =
        json_list(json_child(at, "certChain"), "certificates", OMS_MAX_CERTIFICATES, &count);
    if (count == 0)
        json_fail(list, "holds no certificate");
    for (size_t i = 0; i < count && at.reader->err.code == ERR_NONE; i++)
        oms_get_bytes(json_as_object(json_item(list, i)), "rawBytes", OMS_MAX_CERTIFICATE_BYTES,
                      &out->certificates[out->count++]);
    read_span(at, &out->valid);
}

static void check_type(struct json_at root)
{
    char type[96] = "";
    json_get_line(root, "mediaType", type, sizeof type);
    if (!str_eq(type, "application/vnd.dev.sigstore.trustedroot+json;version=0.1") &&
        !str_eq(type, "application/vnd.dev.sigstore.trustedroot.v0.2+json"))
        json_fail(root, "mediaType: is not that of a trusted root");
}

int sigstore_root_parse(const void *text, size_t len, struct sigstore_root *out, struct err *err)
{
    struct json_reader reader;
    size_t count = 0;
    *out = (struct sigstore_root){0};
    if (len > SIGSTORE_ROOT_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "trusted root: %zu bytes, the limit is %d", len,
                       SIGSTORE_ROOT_MAX_BYTES);
    if (json_read(&reader, "trusted root", text, len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    check_type(root);
    read_logs(root, "tlogs", &out->logs);
    read_logs(root, "ctlogs", &out->ct_logs);
    struct json_at list = json_list(root, "certificateAuthorities", SIGSTORE_MAX_AUTHORITIES, &count);
    for (size_t i = 0; i < count && reader.err.code == ERR_NONE; i++)
        read_authority(json_as_object(json_item(list, i)), &out->authorities[out->authority_count++]);
    if (json_finish(&reader, err) == 0)
        return 0;
    sigstore_root_fini(out);
    return -1;
}

static void free_logs(struct sigstore_logs *logs)
{
    for (size_t i = 0; i < logs->count; i++)
        free(logs->items[i].key.data);
}

void sigstore_root_fini(struct sigstore_root *root)
{
    free_logs(&root->logs);
    free_logs(&root->ct_logs);
    for (size_t i = 0; i < root->authority_count; i++)
        for (size_t k = 0; k < root->authorities[i].count; k++)
            free(root->authorities[i].certificates[k].data);
    *root = (struct sigstore_root){0};
}
