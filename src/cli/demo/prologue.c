#include "cli/demo/prologue.h"
#include "base/buf.h"
#include "base/str.h"
#include "cli/demo/screen.h"
#include "cli/demo/tool.h"

/* The server's directory and keys come first: the fleet's root names them. */
static int make_keys(struct stage *stage, const char *keys, struct err *err)
{
    if (tool_run_program(stage, "musterd",
                         TOOL_ARGS("init", "--dir", stage_path(stage, "server"), "--hosts",
                                   "127.0.0.1,localhost", "--token-file", stage_path(stage, "token")),
                         err) < 0 ||
        stage_read_token(stage, err) < 0)
        return -1;
    const char *const init[] = {"keys",
                                "init",
                                "--dir",
                                keys,
                                "--fleet",
                                "demo",
                                "--online",
                                stage_path(stage, "server/online.json"),
                                "--no-passphrase",
                                NULL};
    if (tool_run(stage, true, init, NULL, err) < 0)
        return -1;
    return tool_run(
        stage, true,
        TOOL_ARGS("keys", "operator", "demo", "--dir", stage_path(stage, "operators"), "--keys", keys), NULL,
        err);
}

int prologue_releases(struct stage *stage, struct err *err)
{
    char keys[2 * STAGE_PATH];
    str_copy(keys, sizeof keys, stage_path(stage, "keys"));
    if (make_keys(stage, keys, err) < 0)
        return -1;
    const struct play *play = stage->play;
    for (size_t i = 0; i < play->release_count; i++) {
        char yaml[2 * STAGE_PATH];
        snprintf(yaml, sizeof yaml, "%s/%s-%s/release.yaml", stage->models, play->model, play->versions[i]);
        const char *dir = stage_path(stage, "releases/%s", play->versions[i]);
        if (tool_run(stage, true, TOOL_ARGS("pack", yaml, "-o", dir), NULL, err) < 0 ||
            tool_run(stage, true, TOOL_ARGS("sign", dir, "--keys", keys), NULL, err) < 0)
            return -1;
    }
    screen_note("The releases are in the offline targets: keys that no server has say which bytes this fleet "
                "may run");
    return 0;
}

int prologue_server(struct stage *stage, struct cast *cast, struct err *err)
{
    if (cast_start_server(cast, err) < 0)
        return -1;
    for (size_t i = 0; i < stage->play->release_count; i++) {
        const char *dir = stage_path(stage, "releases/%s", stage->play->versions[i]);
        if (tool_run(stage, true, TOOL_ARGS("push", dir, "--keys", stage_path(stage, "keys")), NULL, err) < 0)
            return -1;
    }
    screen_note("Robots take a release by two keys: these targets name it, and the server's director assigns "
                "it to them");
    return 0;
}

int prologue_robot(struct stage *stage, struct cast *cast, int robot, bool with_program, struct err *err)
{
    char label[32], file[2 * STAGE_PATH];
    str_copy(file, sizeof file, stage_path(stage, "%s/token", stage_robot(robot)));
    snprintf(label, sizeof label, "site=%s", stage_site(robot));
    if (tool_run(stage, robot == 0,
                 TOOL_ARGS("robot", "enroll-token", stage_robot(robot), "--label", label, "-o", file), NULL,
                 err) < 0 ||
        cast_start_agent(cast, robot, file, err) < 0)
        return -1;
    return with_program ? cast_start_program(cast, robot, err) : 0;
}
