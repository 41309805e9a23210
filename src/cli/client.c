#include "cli/client.h"

#include "base/str.h"
#include "sys/fetch.h"
#include "sys/file.h"
#include "wire/api.h"

enum { TOKEN_MAX = 4096, CALL_TIMEOUT_MS = 60000 };

struct client {
    struct fetch *fetch;
    char *server; /* all owned */
    char *token;  /* NULL: none */
    int64_t timeout_ms;
};

static const char *flag_or_env(const char *flag, const char *name)
{
    const char *value = flag ? flag : getenv(name);
    return value && value[0] ? value : NULL;
}

static int take_server(struct client *client, const struct client_flags *flags, struct err *err)
{
    const char *server = flag_or_env(flags->server, "MUSTER_SERVER");
    if (!server)
        return err_set(err, ERR_USAGE, "no server; give --server URL or set MUSTER_SERVER");
    if (!str_starts(server, "https://") && !str_starts(server, "http://"))
        return err_set(err, ERR_USAGE, "server \"%.100s\": must begin with https://", server);
    size_t len = strlen(server);
    while (len > 0 && server[len - 1] == '/')
        len--;
    client->server = mem_strndup(server, len);
    return client->server ? 0 : err_no_memory(err);
}

static int read_token(const char *path, char **out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(TOKEN_MAX);
    if (file_read(path, &text, err) < 0)
        return -1;
    *out = mem_strndup(buf_text(&text), strcspn(buf_text(&text), " \t\r\n"));
    return *out ? 0 : err_no_memory(err);
}

static int take_token(struct client *client, const struct client_flags *flags, struct err *err)
{
    if (flags->token_file)
        return read_token(flags->token_file, &client->token, err);
    const char *token = getenv("MUSTER_TOKEN");
    if (!token || !token[0])
        return 0; /* the server will say if it wants one */
    client->token = mem_strdup(token);
    return client->token ? 0 : err_no_memory(err);
}

int client_open(const struct client_flags *flags, struct client **out, struct err *err)
{
    cleanup_client struct client *client = mem_zalloc(1, sizeof *client);
    if (!client)
        return err_no_memory(err);
    client->timeout_ms = CALL_TIMEOUT_MS;
    if (take_server(client, flags, err) < 0 || take_token(client, flags, err) < 0)
        return -1;
    struct fetch_options options = {.ca_path = flag_or_env(flags->ca, "MUSTER_CA"),
                                    .parse_error = api_error_parse};
    if (fetch_new(&options, &client->fetch, err) < 0)
        return -1;
    *out = TAKE_PTR(client);
    return 0;
}

int client_start(int argc, char **argv, struct operands *operands, bool *out_json, struct client **out,
                 struct err *err)
{
    struct client_flags where = {0};
    const struct option_def options[] = {CLIENT_OPTIONS(where), OPT_FLAG("json", 0, out_json)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), operands, err) < 0)
        return -1;
    return client_open(&where, out, err);
}

void client_free(struct client *client)
{
    if (client->fetch)
        fetch_free(client->fetch);
    free(client->server);
    free(client->token);
    free(client);
}

void client_set_timeout(struct client *client, int64_t timeout_ms)
{
    client->timeout_ms = timeout_ms;
}

const char *client_server(const struct client *client)
{
    return client->server;
}

/* The errors are the server's own words; only a missing token has a remedy that it cannot know. */
static int explain(const struct client *client, const struct fetch_response *response, struct err *err)
{
    if (response->status != 401)
        return -1;
    return err_set(err, ERR_DENIED, "%s wants %s operator token; give --token-file FILE or set MUSTER_TOKEN",
                   client->server, client->token ? "another" : "an");
}

static int exchange(struct client *client, struct fetch_request *request, const char *path, struct buf *out,
                    struct err *err)
{
    cleanup_free char *url = mem_printf("%s%s", client->server, path);
    if (!url)
        return err_no_memory(err);
    struct fetch_response response = {0};
    request->url = url;
    request->bearer = client->token;
    int result = fetch_once(client->fetch, request, &response, err);
    if (result < 0)
        result = explain(client, &response, err);
    else if (out && response.body.len > 0)
        result = buf_put(out, response.body.data, response.body.len, err);
    buf_fini(&response.body);
    return result;
}

int client_call(struct client *client, const char *method, const char *path, const char *json,
                struct buf *out, struct err *err)
{
    struct fetch_request request = {
        .method = method,
        .content_type = json ? "application/json" : NULL,
        .body = json,
        .body_len = json ? strlen(json) : 0,
        .timeout_ms = client->timeout_ms,
        .max_bytes = CLIENT_MAX_ANSWER,
    };
    return exchange(client, &request, path, out, err);
}

int client_put(struct client *client, const char *path, const void *data, size_t len, struct buf *out,
               struct err *err)
{
    struct fetch_request request = {
        .method = "PUT", .content_type = "application/octet-stream", .body = data, .body_len = len};
    return exchange(client, &request, path, out, err);
}

int client_has(struct client *client, const char *path, bool *out, struct err *err)
{
    struct fetch_request request = {.method = "HEAD", .timeout_ms = CALL_TIMEOUT_MS};
    *out = exchange(client, &request, path, NULL, err) == 0;
    if (*out)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    *err = (struct err){0};
    return 0;
}

static int into_buf(const void *data, size_t len, void *arg, struct err *err)
{
    return buf_put(arg, data, len, err);
}

int client_download(struct client *client, const char *path, struct buf *out, struct err *err)
{
    struct fetch_request request = {
        .method = "GET", .max_bytes = out->max, .sink = into_buf, .sink_arg = out};
    return exchange(client, &request, path, NULL, err);
}
