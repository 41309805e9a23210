#include "base/testing.h"

#include "fleet/testing/harness.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "release/image.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/proc.h"
#include "trust/ca.h"
#include "wire/api.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const char program[] = MUSTER_BUILD_BIN "/musterd";

int harness_setup(void **state)
{
    struct harness *h = mem_zalloc(1, sizeof *h);
    harness_init(h);
    harness_start(h);
    *state = h;
    return 0;
}

int harness_teardown(void **state)
{
    harness_fini(*state);
    free(*state);
    return 0;
}

void harness_path(const struct harness *h, const char *name, char out[160])
{
    snprintf(out, 160, "%s/%s", h->root, name);
}

static char *read_text(const char *path)
{
    struct err err = {0};
    struct buf text = BUF_INIT(1 << 20);
    assert_ok(file_read(path, &text, &err), err);
    return buf_take(&text);
}

void harness_init(struct harness *h)
{
    struct err err = {0};
    char token_path[160];
    int status = -1;
    *h = (struct harness){0};
    signal(SIGPIPE, SIG_IGN);
    str_copy(h->root, sizeof h->root, "/tmp/muster-serve-XXXXXX");
    assert_non_null(mkdtemp(h->root));
    snprintf(h->dir, sizeof h->dir, "%s/srv", h->root);
    harness_path(h, "token", token_path);
    const char *const argv[] = {program, "init", "--dir", h->dir, "--token-file", token_path, NULL};
    assert_ok(proc_run(argv, 30000, NULL, &status, &err), err);
    assert_int_equal(status, 0);
    cleanup_free char *token = read_text(token_path);
    str_copy(h->token, sizeof h->token, token);
    h->token[strcspn(h->token, "\n")] = 0;
    cleanup_free char *online = file_join(h->dir, "online.json");
    desk_open(&h->desk, h->root, online);
}

void harness_start(struct harness *h)
{
    struct err err = {0};
    char ports[160], log[160];
    harness_path(h, "ports.json", ports);
    harness_path(h, "server.log", log);
    unlink(ports);
    const char *argv[32] = {program,
                            "serve",
                            "--dir",
                            h->dir,
                            "--robot-listen",
                            "127.0.0.1:0",
                            "--operator-listen",
                            "127.0.0.1:0",
                            "--console-listen",
                            "127.0.0.1:0",
                            "--ports-file",
                            ports};
    size_t count = 12;
    if (!h->rootless) {
        argv[count++] = "--root";
        argv[count++] = h->desk.root_file;
    }
    for (size_t i = 0; i < ARRAY_LEN(h->extra) && h->extra[i]; i++)
        argv[count++] = h->extra[i];
    struct proc_options options = {.argv = argv, .log_path = log, .die_with_parent = true, .keep_fd = -1};
    assert_ok(proc_spawn(&options, &h->pid, &err), err);
    for (int i = 0; i < 3000 && !file_exists(ports); i++)
        usleep(10000);
    cleanup_free char *text = read_text(ports);
    h->robot_port = (uint16_t)find_number(text, "robot");
    h->operator_port = (uint16_t)find_number(text, "operator");
    h->console_port = (uint16_t)find_number(text, "console");
}

int harness_stop(struct harness *h, int signal_number)
{
    int status = 0;
    kill(h->pid, signal_number);
    assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
    h->pid = 0;
    return status;
}

void harness_fini(struct harness *h)
{
    struct err err = {0};
    if (h->pid)
        assert_int_equal(harness_stop(h, SIGTERM), 0); /* under a sanitizer this also says: no leak */
    desk_close(&h->desk);
    assert_ok(file_remove_tree(h->root, &err), err);
}

/* ---- connections ---- */

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

bool peer_open(struct peer *peer, uint16_t port, bool tls, const char *cert, const char *key)
{
    *peer = (struct peer){.fd = connect_to(port)};
    if (peer->fd < 0 || !tls)
        return peer->fd >= 0;
    peer->ctx = SSL_CTX_new(TLS_client_method());
    if (cert) {
        assert_int_equal(SSL_CTX_use_certificate_file(peer->ctx, cert, SSL_FILETYPE_PEM), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(peer->ctx, key, SSL_FILETYPE_PEM), 1);
    }
    peer->ssl = SSL_new(peer->ctx);
    SSL_set_fd(peer->ssl, peer->fd);
    return SSL_connect(peer->ssl) == 1;
}

void peer_close(struct peer *peer)
{
    if (peer->ssl)
        SSL_free(peer->ssl);
    if (peer->ctx)
        SSL_CTX_free(peer->ctx);
    if (peer->fd >= 0)
        close(peer->fd);
    *peer = (struct peer){.fd = -1};
}

bool peer_send(struct peer *peer, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        long sent = peer->ssl ? SSL_write(peer->ssl, at, (int)MIN(len, (size_t)INT32_MAX))
                              : send(peer->fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        len -= (size_t)sent;
    }
    return true;
}

void peer_end(struct peer *peer)
{
    if (peer->ssl)
        SSL_shutdown(peer->ssl);
    shutdown(peer->fd, SHUT_WR);
}

long peer_read(struct peer *peer, void *data, size_t len)
{
    return peer->ssl ? SSL_read(peer->ssl, data, (int)len) : recv(peer->fd, data, len, 0);
}

static size_t content_length(const char *head)
{
    const char *line = strcasestr(head, "\r\ncontent-length:");
    return line ? strtoul(line + 17, NULL, 10) : 0;
}

static struct reply read_head(struct peer *peer)
{
    struct reply reply = {0};
    struct err err = {0};
    cleanup_buf struct buf text = BUF_INIT(64 << 20);
    char *end;
    while (!(end = strstr(buf_text(&text), "\r\n\r\n"))) {
        char piece[1];
        if (peer_read(peer, piece, 1) != 1 || buf_put(&text, piece, 1, &err) < 0)
            return reply;
    }
    reply.head = mem_strdup(buf_text(&text));
    assert_int_equal(sscanf(reply.head, "HTTP/1.1 %d", &reply.status), 1);
    return reply;
}

struct reply peer_read_reply(struct peer *peer)
{
    struct reply reply = read_head(peer);
    if (!reply.head)
        return reply;
    reply.len = content_length(reply.head);
    reply.body = mem_zalloc(1, reply.len + 1);
    size_t have = 0;
    while (have < reply.len) {
        long got = peer_read(peer, reply.body + have, reply.len - have);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    assert_int_equal(have, reply.len);
    return reply;
}

void reply_fini(struct reply *reply)
{
    free(reply->head);
    free(reply->body);
    *reply = (struct reply){0};
}

char *format_request(const char *method, const char *path, const char *headers, const void *body, size_t len,
                     size_t *out_len)
{
    struct err err = {0};
    struct buf text = BUF_INIT(64 << 20);
    assert_ok(buf_printf(&text, &err, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path, headers), err);
    if (body || str_eq(method, "POST") || str_eq(method, "PUT"))
        assert_ok(buf_printf(&text, &err, "Content-Length: %zu\r\n", len), err);
    assert_ok(buf_puts(&text, "\r\n", &err), err);
    assert_ok(buf_put(&text, body, len, &err), err);
    *out_len = text.len;
    return buf_take(&text);
}

static struct reply call(uint16_t port, const struct robot_peer *robot, const char *method, const char *path,
                         const char *headers, const void *body, size_t len)
{
    struct reply reply = {0};
    struct peer peer;
    size_t request_len;
    cleanup_free char *request = format_request(method, path, headers, body, len, &request_len);
    if (peer_open(&peer, port, true, robot ? robot->cert : NULL, robot ? robot->key : NULL) &&
        peer_send(&peer, request, request_len))
        reply = str_eq(method, "HEAD") ? read_head(&peer) : peer_read_reply(&peer);
    peer_close(&peer);
    return reply;
}

struct reply harness_call(const struct harness *h, const char *method, const char *path, const void *body,
                          size_t len)
{
    char headers[160];
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", h->token);
    return call(h->operator_port, NULL, method, path, headers, body, len);
}

struct reply robot_call(const struct harness *h, const struct robot_peer *robot, const char *method,
                        const char *path, const void *body, size_t len)
{
    return call(h->robot_port, robot, method, path, "", body, len);
}

/* ---- robots ---- */

void harness_enroll(const struct harness *h, const char *id, struct robot_peer *out)
{
    harness_enroll_at(h, id, "north", out);
}

void harness_enroll_at(const struct harness *h, const char *id, const char *site, struct robot_peer *out)
{
    struct err err = {0};
    char name[96], body[128], token[80];
    struct api_enroll enroll = {0};
    struct api_enrolled enrolled;
    cleanup_free char *csr = NULL;
    str_copy(out->id, sizeof out->id, id);
    snprintf(name, sizeof name, "%s.key", id);
    harness_path(h, name, out->key);
    snprintf(name, sizeof name, "%s.pem", id);
    harness_path(h, name, out->cert);
    snprintf(body, sizeof body, "{\"robot\":\"%s\",\"labels\":{\"site\":\"%s\"}}", id, site);
    cleanup_reply struct reply made = harness_call(h, "POST", "/api/v1/enroll-tokens", body, strlen(body));
    assert_int_equal(made.status, 201);
    assert_true(find_text(made.body, "token", token, sizeof token));
    assert_ok(csr_make(out->key, id, &csr, &err), err);
    str_copy(enroll.token, sizeof enroll.token, token);
    str_copy(enroll.csr, sizeof enroll.csr, csr);
    cleanup_free char *text = api_enroll_format(&enroll);
    cleanup_reply struct reply reply = harness_call(h, "POST", "/api/v1/enroll", text, strlen(text));
    assert_int_equal(reply.status, 200);
    assert_ok(api_enrolled_parse(reply.body, reply.len, &enrolled, &err), err);
    assert_string_equal(enrolled.robot, id);
    assert_ok(file_replace(out->cert, enrolled.certificate, strlen(enrolled.certificate), 0600, &err), err);
}

/* ---- releases ---- */

#define RELEASE_JSON                                                                                         \
    "{\"schema\":1,\"name\":\"quadrants\",\"version\":\"%s\",\"description\":\"\",\"task\":\"detection\","   \
    "\"targets\":[\"x86_64\",\"aarch64\"],\"model\":{\"format\":\"onnx\",\"inputs\":[{\"name\":\"images\","  \
    "\"dtype\":\"float32\",\"shape\":[1,3,16,16]}],\"outputs\":[{\"name\":\"output0\",\"dtype\":"            \
    "\"float32\",\"shape\":[1,6,4]}]},\"frame\":\"rgb8\",\"state\":[],\"preprocess\":{\"color\":\"rgb\","    \
    "\"layout\":\"nchw\",\"resize\":\"letterbox\",\"pad\":114,\"scale\":0.00392156862745098,"                \
    "\"mean\":[0,0,0],\"std\":[1,1,1]},\"postprocess\":{\"decoder\":\"yolov8\",\"score_threshold\":0.35,"    \
    "\"iou_threshold\":0.5,\"max_detections\":100,\"activation\":\"none\"},\"labels\":[\"red\",\"green\"],"  \
    "\"budgets\":{\"latency_p99_ms\":40,\"deadline_ms\":60,\"memory_mib\":128},\"envelope\":"                \
    "{\"max_detections\":100,\"min_score\":0,\"max_miss_share\":0.1,\"max_age_ms\":0,\"frozen_frames\":0,"   \
    "\"latch_after\":0,\"value_min\":-1e30,\"value_max\":1e30,\"max_rate\":0,\"max_jump\":0},"               \
    "\"runtime\":{\"threads\":1,\"spin\":false,\"queue\":\"latest\",\"providers\":[\"cpu\"]},\"switch\":"    \
    "{\"policy\":\"availability\",\"shadow_frames\":0,\"min_agreement\":0,\"hold_s\":0,\"at\":\"frame\"},"   \
    "\"safe_state\":\"stop\",\"golden\":{\"tolerance\":0.001}}"

static struct oci_descriptor add_layer(const char *dir, const char *type, const char *path, const void *data,
                                       size_t len)
{
    struct err err = {0};
    struct oci_descriptor layer = {.size = len};
    str_copy(layer.media_type, sizeof layer.media_type, type);
    str_copy(layer.filepath, sizeof layer.filepath, path);
    assert_ok(layout_add_blob(dir, data, len, &layer.digest, &err), err);
    return layer;
}

static char *make_layout(const char *dir, const char *version, struct oci_manifest *manifest)
{
    struct err err = {0};
    char release[2048];
    struct file_map model = {0};
    assert_ok(layout_init(dir, &err), err);
    assert_ok(file_map(MUSTER_SOURCE_DIR "/tests/data/models/quadrants.onnx", &model, &err), err);
    snprintf(release, sizeof release, RELEASE_JSON, version);
    str_copy(manifest->artifact_type, sizeof manifest->artifact_type, MODELPACK_ARTIFACT_TYPE);
    manifest->layers[0] = add_layer(dir, MODELPACK_WEIGHT_TYPE, "model.onnx", model.data, model.size);
    str_copy(manifest->layers[0].variant, sizeof manifest->layers[0].variant, "fp32");
    manifest->layers[1] = add_layer(dir, MUSTER_RELEASE_TYPE, "release.json", release, strlen(release));
    manifest->layers[2] = add_layer(dir, MUSTER_GOLDEN_TYPE, "golden.bin", "MGOLDEN1\0\0\0", 12);
    manifest->layer_count = 3;
    file_unmap(&model);
    cleanup_free char *config = modelpack_config_format("quadrants", version, "", "1970-01-01T00:00:00Z",
                                                        manifest->layers, manifest->layer_count);
    manifest->config = add_layer(dir, MODELPACK_CONFIG_TYPE, "", config, strlen(config));
    char *text = oci_manifest_format(manifest);
    struct oci_descriptor own = add_layer(dir, OCI_MANIFEST_TYPE, "", text, strlen(text));
    (void)own;
    return text;
}

static void put_blob(const struct harness *h, const char *dir, const struct digest *digest)
{
    struct digest_text name = digest_format(digest);
    cleanup_free char *path = image_blob_path(dir, digest);
    struct err err = {0};
    struct file_map map = {0};
    char url[160];
    assert_ok(file_map(path, &map, &err), err);
    snprintf(url, sizeof url, "/api/v1/blobs/%s", name.text);
    cleanup_reply struct reply reply = harness_call(h, "PUT", url, map.data, map.size);
    assert_int_equal(reply.status, 201);
    file_unmap(&map);
}

struct digest harness_upload(const struct harness *h, const char *version, uint64_t *out_length)
{
    char dir[160], name[80];
    struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    snprintf(name, sizeof name, "layout-%s", version);
    harness_path(h, name, dir);
    cleanup_free char *text = make_layout(dir, version, manifest);
    struct digest digest = hash_bytes(text, strlen(text));
    for (size_t i = 0; i < manifest->layer_count; i++)
        put_blob(h, dir, &manifest->layers[i].digest);
    put_blob(h, dir, &manifest->config.digest);
    put_blob(h, dir, &digest);
    *out_length = strlen(text);
    free(manifest);
    return digest;
}

void harness_publish(const struct harness *h, const char *role, int64_t version)
{
    size_t len;
    char path[96];
    cleanup_free char *bytes = desk_read(&h->desk, role, version, &len);
    snprintf(path, sizeof path, "/api/v1/tuf/%s", role);
    cleanup_reply struct reply reply = harness_call(h, "POST", path, bytes, len);
    if (reply.status != 200)
        fail_msg("%s %d: %d %s", role, (int)version, reply.status, reply.body);
    assert_int_equal(find_number(reply.body, "version"), version);
}

struct reply harness_post_release(const struct harness *h, const struct digest *digest)
{
    char body[128];
    snprintf(body, sizeof body, "{\"manifest\":\"%s\"}", digest_format(digest).text);
    return harness_call(h, "POST", "/api/v1/releases", body, strlen(body));
}

struct digest harness_push(struct harness *h, const char *version)
{
    uint64_t length;
    struct digest digest = harness_upload(h, version, &length);
    harness_publish(h, "targets", desk_release(&h->desk, "quadrants", version, &digest, length, NULL));
    cleanup_reply struct reply reply = harness_post_release(h, &digest);
    if (reply.status != 201)
        fail_msg("push: %d %s", reply.status, reply.body);
    return digest;
}

/* ---- reading answers ---- */

static const char *find_value(const char *json, const char *key)
{
    char quoted[96];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = json ? strstr(json, quoted) : NULL;
    return at ? at + strlen(quoted) : NULL;
}

int64_t find_number(const char *json, const char *key)
{
    const char *at = find_value(json, key);
    return at ? strtoll(at, NULL, 10) : -1;
}

bool find_text(const char *json, const char *key, char *out, size_t size)
{
    const char *at = find_value(json, key);
    if (!at || *at != '"')
        return false;
    size_t len = strcspn(at + 1, "\"");
    snprintf(out, size, "%.*s", (int)len, at + 1);
    return true;
}
