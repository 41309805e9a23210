#include "robot/jail/oci.h"

#include "base/str.h"
#include "robot/jail/device.h"
#include "robot/jail/seccomp.h"
#include "wire/json_write.h"

#include <linux/prctl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A tree that could not be built is NULL, and so is everything built with it: jansson passes that on. */

static json_t *strings(const char *const *items)
{
    json_t *list = json_array();
    for (size_t i = 0; items[i]; i++)
        if (json_append(list, json_string(items[i])) < 0)
            return json_decref(list), NULL;
    return list;
}

static json_t *limit(const char *type, uint64_t value)
{
    return json_pack("{s:s,s:I,s:I}", "type", type, "soft", (json_int_t)value, "hard", (json_int_t)value);
}

static json_t *process(const struct jail *jail, bool rootless)
{
    json_t *args = strings((const char *const *)jail->args);
    json_t *env = strings((const char *const *)jail->env);
    json_t *none = json_pack("{s:[],s:[],s:[],s:[],s:[]}", "bounding", "effective", "permitted",
                             "inheritable", "ambient");
    json_t *limits = json_pack("[o,o,o]", limit("RLIMIT_CORE", 0), limit("RLIMIT_NOFILE", 256),
                               limit("RLIMIT_FSIZE", JAIL_LOG_MAX_BYTES));
    return json_pack("{s:b,s:{s:I,s:I},s:o,s:o,s:s,s:o,s:o,s:b}", "terminal", 0, "user", "uid",
                     (json_int_t)(rootless ? 0 : jail->uid), "gid", (json_int_t)(rootless ? 0 : jail->gid),
                     "args", args, "env", env, "cwd", "/", "capabilities", none, "rlimits", limits,
                     "noNewPrivileges", 1);
}

/* ---- mounts ---- */

static json_t *special(const char *type, const char *at, const char *const *options)
{
    return json_pack("{s:s,s:s,s:s,s:o}", "destination", at, "type", type, "source", type, "options",
                     strings(options));
}

static json_t *bind_mount(const struct jail_bind *bind)
{
    static const char *const code[] = {"bind", "ro", "nosuid", "nodev", NULL};
    static const char *const data[] = {"bind", "ro", "nosuid", "nodev", "noexec", NULL};
    bool runs = bind->kind == JAIL_PROGRAM || bind->kind == JAIL_LIBRARY;
    return json_pack("{s:s,s:s,s:s,s:o}", "destination", bind->target, "type", "bind", "source", bind->source,
                     "options", strings(runs ? code : data));
}

static json_t *mounts(const struct jail *jail)
{
    static const char *const proc[] = {"nosuid", "noexec", "nodev", NULL};
    static const char *const dev[] = {"nosuid", "noexec", "mode=755", "size=65536", "ro", NULL};
    json_t *list = json_array();
    int bad =
        json_append(list, special("proc", "/proc", proc)) | json_append(list, special("tmpfs", "/dev", dev));
    for (size_t i = 0; i < jail->bind_count; i++)
        if (jail->binds[i].kind != JAIL_DEVICE)
            bad |= json_append(list, bind_mount(&jail->binds[i]));
    if (bad)
        return json_decref(list), NULL;
    return list;
}

/* ---- devices ---- */

static json_t *device(const struct jail *jail, const struct jail_bind *bind, const struct stat *st)
{
    return json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "path", bind->target, "type",
                     S_ISBLK(st->st_mode) ? "b" : "c", "major", (json_int_t)major(st->st_rdev), "minor",
                     (json_int_t)minor(st->st_rdev), "fileMode", (json_int_t)0666, "uid",
                     (json_int_t)jail->uid, "gid", (json_int_t)jail->gid);
}

static json_t *rule(const struct stat *st)
{
    return json_pack("{s:b,s:s,s:I,s:I,s:s}", "allow", 1, "type", S_ISBLK(st->st_mode) ? "b" : "c", "major",
                     (json_int_t)major(st->st_rdev), "minor", (json_int_t)minor(st->st_rdev), "access", "rw");
}

/* The five harmless ones the runtime makes and allows by itself. */
static int add_devices(const struct jail *jail, json_t *nodes, json_t *rules)
{
    int bad = json_append(rules, json_pack("{s:b,s:s}", "allow", 0, "access", "rwm"));
    for (size_t i = 0; i < jail->bind_count; i++) {
        const struct jail_bind *bind = &jail->binds[i];
        struct stat st;
        if (bind->kind != JAIL_DEVICE || device_is_standard(bind->target) || stat(bind->source, &st) < 0)
            continue;
        bad |= json_append(nodes, device(jail, bind, &st)) | json_append(rules, rule(&st));
    }
    return bad;
}

/* ---- seccomp ---- */

static json_t *condition(const struct seccomp_call *call)
{
    static const json_int_t spaces =
        CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    if (call->rule == SECCOMP_UNIX_ONLY)
        return json_pack("[{s:i,s:I,s:s}]", "index", 0, "value", (json_int_t)AF_UNIX, "op", "SCMP_CMP_EQ");
    if (call->rule == SECCOMP_SELF_ONLY)
        return json_pack("[{s:i,s:I,s:s}]", "index", 0, "value", (json_int_t)0, "op", "SCMP_CMP_EQ");
    if (call->rule == SECCOMP_OWN_IMAGE)
        return json_pack("[{s:i,s:I,s:s}]", "index", 0, "value", (json_int_t)PR_SET_MM, "op", "SCMP_CMP_NE");
    if (call->rule == SECCOMP_THREADS_ONLY)
        return json_pack("[{s:i,s:I,s:I,s:s}]", "index", 0, "value", spaces | CLONE_THREAD, "valueTwo",
                         (json_int_t)CLONE_THREAD, "op", "SCMP_CMP_MASKED_EQ");
    return NULL;
}

static json_t *conditional(const struct seccomp_call *call)
{
    if (call->rule == SECCOMP_UNKNOWN)
        return json_pack("{s:[s],s:s,s:i}", "names", call->name, "action", "SCMP_ACT_ERRNO", "errnoRet", 38);
    if (call->rule == SECCOMP_ONCE)
        return json_pack("{s:[s],s:s}", "names", call->name, "action", "SCMP_ACT_ALLOW");
    return json_pack("{s:[s],s:s,s:o}", "names", call->name, "action", "SCMP_ACT_ALLOW", "args",
                     condition(call));
}

static json_t *seccomp(void)
{
#if defined(__aarch64__)
    static const char arch[] = "SCMP_ARCH_AARCH64";
#else
    static const char arch[] = "SCMP_ARCH_X86_64";
#endif
    size_t count = 0;
    const struct seccomp_call *calls = seccomp_calls(&count);
    json_t *names = json_array(), *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < count; i++)
        if (calls[i].rule == SECCOMP_ALWAYS)
            bad |= json_append(names, json_string(calls[i].name));
    bad |= json_append(list, json_pack("{s:o,s:s}", "names", names, "action", "SCMP_ACT_ALLOW"));
    for (size_t i = 0; i < count; i++)
        if (calls[i].rule != SECCOMP_ALWAYS)
            bad |= json_append(list, conditional(&calls[i]));
    if (bad)
        return json_decref(list), NULL;
    return json_pack("{s:s,s:i,s:[s],s:o}", "defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet", 1,
                     "architectures", arch, "syscalls", list);
}

/* ---- the whole ---- */

static json_t *namespaces(bool rootless)
{
    static const char *const types[] = {"pid", "network", "ipc", "uts", "mount", "cgroup", "user"};
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(types) - !rootless; i++)
        if (json_append(list, json_pack("{s:s}", "type", types[i])) < 0)
            return json_decref(list), NULL;
    return list;
}

static json_t *resources(const struct jail *jail, json_t *rules)
{
    json_int_t memory = (json_int_t)jail->memory_bytes;
    return json_pack("{s:o,s:{s:I},s:{s:I},s:{s:I}}", "devices", rules, "memory", "limit", memory, "pids",
                     "limit", (json_int_t)jail->tasks, "cpu", "shares",
                     (json_int_t)jail->cpu_weight * 1024 / 100);
}

/* Root of the namespace, without any capability, is the agent's own user: runc wants a root. */
static int map_user(json_t *linux_part, uid_t outer_uid, gid_t outer_gid)
{
    json_t *users =
        json_pack("[{s:i,s:I,s:i}]", "containerID", 0, "hostID", (json_int_t)outer_uid, "size", 1);
    json_t *groups =
        json_pack("[{s:i,s:I,s:i}]", "containerID", 0, "hostID", (json_int_t)outer_gid, "size", 1);
    return json_object_set_new(linux_part, "uidMappings", users) |
           json_object_set_new(linux_part, "gidMappings", groups);
}

static json_t *linux_part(const struct jail *jail, bool rootless, uid_t outer_uid, gid_t outer_gid)
{
    static const char *const masked[] = {
        "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/acpi",
        "/proc/scsi",  NULL};
    static const char *const fixed[] = {"/proc/bus",           "/proc/fs", "/proc/irq", "/proc/sys",
                                        "/proc/sysrq-trigger", NULL};
    json_t *nodes = json_array(), *rules = json_array();
    int bad = add_devices(jail, nodes, rules);
    json_t *whole =
        json_pack("{s:o,s:o,s:o,s:o,s:o}", "namespaces", namespaces(rootless), "seccomp", seccomp(),
                  "maskedPaths", strings(masked), "readonlyPaths", strings(fixed), "devices", nodes);
    if (rootless)
        bad |= map_user(whole, outer_uid, outer_gid);
    else
        bad |= json_object_set_new(whole, "resources", resources(jail, json_incref(rules))) |
               json_object_set_new(whole, "cgroupsPath", json_sprintf("/%s", jail->id));
    json_decref(rules);
    if (bad)
        return json_decref(whole), NULL;
    return whole;
}

char *oci_config(const struct jail *jail, bool rootless, uid_t outer_uid, gid_t outer_gid)
{
    return json_write_new(json_pack("{s:s,s:o,s:{s:s,s:b},s:s,s:o,s:o}", "ociVersion", "1.0.2", "process",
                                    process(jail, rootless), "root", "path", "rootfs", "readonly", 1,
                                    "hostname", "runner", "mounts", mounts(jail), "linux",
                                    linux_part(jail, rootless, outer_uid, outer_gid)));
}
