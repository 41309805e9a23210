#include "fleet/server/options.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "wire/json.h"

#include <arpa/inet.h>
#include <getopt.h>

struct option_row {
    const char *flag, *key; /* key: in the file; NULL: flag only */
    size_t offset, size;
    const char *fallback;
    int64_t max; /* 0: text; -1: any number from 0; else a whole one from 1 */
};

#define ROW(flag, key, field, ...)                                                                           \
    {                                                                                                        \
        flag, key, offsetof(struct server_options, field), sizeof(((struct server_options *)0)->field),      \
            __VA_ARGS__                                                                                      \
    }

static const struct option_row rows[] = {
    ROW("dir", "dir", dir, ""),
    ROW("robot-listen", "robot_listen", robot_listen, "127.0.0.1:8443"),
    ROW("operator-listen", "operator_listen", operator_listen, "127.0.0.1:8444"),
    ROW("console-listen", "console_listen", console_listen, ""),
    ROW("operators", "operators", operators, ""),
    ROW("root", "root", root, ""),
    ROW("timestamp-hours", "timestamp_hours", timestamp_hours, "24", -1),
    ROW("snapshot-days", "snapshot_days", snapshot_days, "7", -1),
    ROW("assignment-days", "assignment_days", assignment_days, "7", -1),
    ROW("role", NULL, role, ""),
    ROW("ports-file", "ports_file", ports_file, ""),
    ROW("max-blob-mib", "max_blob_mib", max_blob_mib, "4096", MAX_BLOB_MIB),
    ROW("certificate-hours", "certificate_hours", certificate_hours, "24", -1),
    ROW("renew-grace-days", "renew_grace_days", renew_grace_days, "30", -1),
    ROW("remote-write", "remote_write", remote_write, ""),
    ROW("remote-write-ca", "remote_write_ca", remote_write_ca, ""),
    ROW("remote-write-token-file", "remote_write_token_file", remote_write_token_file, ""),
    ROW("config", NULL, config, ""),
    ROW("hosts", NULL, hosts, "127.0.0.1,localhost"),
    ROW("token-file", NULL, token_file, ""),
    ROW("name", NULL, name, "operator"),
    ROW("rights", NULL, rights, "admin"),
    ROW("days", NULL, days, ""),
    ROW("revoke", NULL, revoke, ""),
};

static char *field_of(struct server_options *options, const struct option_row *row)
{
    return (char *)options + row->offset;
}

static int set_field(struct server_options *options, const struct option_row *row, const char *value,
                     struct err *err)
{
    if (str_copy(field_of(options, row), row->size, value) && *value)
        return 0;
    return err_set(err, ERR_USAGE, "--%s is %s", row->flag, *value ? "too long" : "empty");
}

static int parse_flags(int argc, char **argv, struct server_options *out, struct err *err)
{
    struct option longs[ARRAY_LEN(rows) + 3] = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        longs[i] = (struct option){rows[i].flag, required_argument, NULL, (int)i + 256};
    longs[ARRAY_LEN(rows)] = (struct option){"help", no_argument, NULL, 'h'};
    longs[ARRAY_LEN(rows) + 1] = (struct option){"list", no_argument, NULL, 'l'};
    optind = 1;
    opterr = 0;
    int got;
    while ((got = getopt_long(argc, argv, "+:h", longs, NULL)) != -1) {
        if (got == 'h')
            out->help = true;
        else if (got == 'l')
            out->list = true;
        else if (got == ':')
            return err_set(err, ERR_USAGE, "%.80s wants a value; see musterd --help", argv[optind - 1]);
        else if (got < 256)
            return err_set(err, ERR_USAGE, "unknown option %.80s; see musterd --help", argv[optind - 1]);
        else if (set_field(out, &rows[got - 256], optarg, err) < 0)
            return -1;
    }
    if (optind < argc)
        return err_set(err, ERR_USAGE, "unexpected \"%.80s\"; see musterd --help", argv[optind]);
    return 0;
}

static void take_value(struct json_at root, const struct option_row *row, char *out)
{
    int64_t number = 0;
    if (row->max == 0) {
        json_get_string(root, row->key, out, row->size);
        return;
    }
    if (row->max < 0) {
        double real = 0;
        json_get_double(root, row->key, 0, 1e6, &real);
        snprintf(out, row->size, "%.9g", real);
        return;
    }
    json_get_int(root, row->key, 1, row->max, &number);
    snprintf(out, row->size, "%lld", (long long)number);
}

static void take_from_file(struct json_at root, struct server_options *options)
{
    const char *known[ARRAY_LEN(rows) + 1] = {0};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct option_row *row = &rows[i];
        if (!row->key)
            continue;
        known[count++] = row->key;
        if (!field_of(options, row)[0] && json_has(root, row->key))
            take_value(root, row, field_of(options, row));
    }
    json_only(root, known);
}

static int read_file(struct server_options *options, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(64 << 10);
    struct json_reader reader;
    if (file_read(options->config, &text, err) < 0 ||
        yaml_read(&reader, options->config, text.data, text.len, err) < 0)
        return -1;
    take_from_file(json_root(&reader), options);
    return json_finish(&reader, err);
}

int server_options_parse(int argc, char **argv, struct server_options *out, struct err *err)
{
    *out = (struct server_options){0};
    if (parse_flags(argc, argv, out, err) < 0 || (out->config[0] && read_file(out, err) < 0))
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!field_of(out, &rows[i])[0])
            str_copy(field_of(out, &rows[i]), rows[i].size, rows[i].fallback);
    if (!out->dir[0] && !out->help)
        return err_set(err, ERR_USAGE, "--dir is missing: the server's directory");
    return 0;
}

int listen_address_parse(const char *text, struct listen_address *out, struct err *err)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon || !str_to_u64(colon + 1, &port) || port > UINT16_MAX)
        return err_set(err, ERR_USAGE, "\"%.80s\" is no address; it wants HOST:PORT", text);
    size_t len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && colon[-1] == ']') {
        text++;
        len -= 2;
    }
    if (!len || len >= sizeof out->host)
        return err_set(err, ERR_USAGE, "the host is missing; use 0.0.0.0 for every address");
    *out = (struct listen_address){.port = (uint16_t)port};
    memcpy(out->host, text, len);
    return 0;
}

bool listen_address_is_loopback(const struct listen_address *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, address->host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return false; /* a name could mean anything, also tomorrow */
}
