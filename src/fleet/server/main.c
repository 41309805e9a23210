/* musterd: the fleet server. */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/server/server.h"

static const char help[] =
    "usage: musterd COMMAND --dir DIR [options]\n"
    "\n"
    "  init   make the server's directory: CA, server certificate, online keys, database, first operator\n"
    "         token; online.json is for muster keys init\n"
    "           --hosts NAMES      names and addresses of the server, comma-separated (127.0.0.1,localhost)\n"
    "           --token-file FILE  write the token there (0600) instead of printing it\n"
    "           --name NAME        whose token it is (operator)\n"
    "  token  make one more operator token (--name, --token-file)\n"
    "           --rights GRANTS    ROLE[:LABEL=VALUE,…][;ROLE…], roles viewer, operator, releaser, safety, "
    "admin "
    "(admin)\n"
    "           --days N           it ends by itself\n"
    "           --list             names, rights and ends of all tokens; the tokens themselves are kept "
    "nowhere\n"
    "           --revoke NAME      end all tokens of that name, with their next request\n"
    "  serve  run the server until SIGTERM\n"
    "           --robot-listen HOST:PORT     TLS, client certificate required (127.0.0.1:8443)\n"
    "           --operator-listen HOST:PORT  TLS, tokens (127.0.0.1:8444)\n"
    "           --console-listen HOST:PORT   plain HTTP, loopback only (off)\n"
    "           --operators FILE   operators' keys: commands that they did not sign are turned away here "
    "already\n"
    "           --root FILE        the fleet's first root of trust (muster keys init); DIR/trust/ begins "
    "with it.\n"
    "                              Without one no release is accepted\n"
    "           --timestamp-hours N, --snapshot-days N   how long what this server signs of the repository "
    "holds (24, 7);\n"
    "                              renewed at half of it\n"
    "           --assignment-days N   how long an assignment holds (7)\n"
    "           --ports-file FILE  where the real ports are written as JSON (port 0: any free one)\n"
    "           --max-blob-mib N   the largest blob (4096)\n"
    "           --certificate-hours N   how long a robot's certificate is good (24); robots renew at half of "
    "it\n"
    "           --renew-grace-days N    how long after that a robot may still renew it, and nothing else "
    "(30)\n"
    "           --remote-write URL      Prometheus remote write of what robots tell in numbers (off); https, "
    "or http\n"
    "                              of this machine\n"
    "           --remote-write-ca FILE, --remote-write-token-file FILE   whom its certificate is from; a "
    "bearer "
    "token\n"
    "           --config FILE      YAML with the same names (robot_listen: …); flags win\n"
    "  rotate --role timestamp|snapshot|director|audit   make the role's next key, and name it in "
    "DIR/online.json; it is\n"
    "         used as soon as a root names it (muster keys rotate)\n"
    "\n"
    "examples:\n"
    "  musterd init --dir /var/lib/muster --hosts fleet.example.org --token-file operator.token\n"
    "  musterd serve --dir /var/lib/muster --robot-listen 0.0.0.0:8443 --operator-listen 0.0.0.0:8444 \\\n"
    "      --root root.json --console-listen 127.0.0.1:8080\n"
    "  musterd token --dir /var/lib/muster --name ann --rights 'operator:site=north;viewer' --days 90\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage, 3 refused, 4 not found\n";

static const struct {
    const char *name;
    int (*run)(const struct server_options *options, struct err *err);
} commands[] = {
    {"init", server_init}, {"token", server_token}, {"rotate", server_rotate}, {"serve", server_serve}};

static int fail(const char *what, const struct err *err)
{
    fprintf(stderr, "musterd%s%s: %s\n", *what ? " " : "", what, err->text);
    return err_exit_status(err->code);
}

static int run(size_t index, int argc, char **argv)
{
    struct err err = {0};
    struct server_options options;
    if (server_options_parse(argc, argv, &options, &err) < 0)
        return fail(commands[index].name, &err);
    if (options.help) {
        fputs(help, stdout);
        return 0;
    }
    return commands[index].run(&options, &err) < 0 ? fail(commands[index].name, &err) : 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    log_init("musterd");
    if (argc > 1 && (str_eq(argv[1], "--help") || str_eq(argv[1], "-h"))) {
        fputs(help, stdout);
        return 0;
    }
    if (argc > 1 && str_eq(argv[1], "--version")) {
        puts("musterd " MUSTER_VERSION);
        return 0;
    }
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++)
        if (str_eq(argv[1], commands[i].name))
            return run(i, argc - 1, argv + 1);
    if (argc > 1)
        err_set(&err, ERR_USAGE, "unknown command \"%.40s\"; see musterd --help", argv[1]);
    else
        err_set(&err, ERR_USAGE, "a command is missing; see musterd --help");
    return fail("", &err);
}
