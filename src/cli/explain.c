#include "cli/verbs.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/explain_say.h"
#include "cli/output.h"
#include "cli/target.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <string.h>
#include <sys/stat.h>

static const char help[] =
    "usage: muster explain RELEASE FRAME [--target N] [--passes N] [--seed N] [-o FILE.png] [--json]\n"
    "       muster explain RELEASE INCIDENT.mcap [--frame N] [...]\n"
    "       muster explain decision FILE.json|NUMBER [--json]\n"
    "\n"
    "Says why a model said what it said of one frame: which parts of the frame it hangs on (the map),\n"
    "how far the map is to be trusted, the smallest covering found that changes the decision (run again\n"
    "before it is stated), and what known cases it is like. RELEASE is a packed release (RELEASE:VARIANT\n"
    "for the variant that decided) or a release.yaml. FRAME is a picture (PNG, JPEG), or numbers (.npy,\n"
    ".f32) for frames of floats; of a model with memory all frames of the file are the sequence, and its\n"
    "end is explained. INCIDENT.mcap is the recording of an incident (muster incident export -o), as small\n"
    "as its pictures were kept there, and what the robot answered then is said beside it.\n"
    "\n"
    "  decision             a decision record of a robot or of a rollout in words: from a file, or the one\n"
    "                       of that number from the server (muster drift decisions lists them)\n"
    "\n"
    "      --frame N        of a recording the picture of that number (default: the last one before the\n"
    "                       trigger)\n"
    "      --target N       which result: a detection (0: the strongest) or a label's number\n"
    "                       (default: the strongest)\n"
    "      --passes N       of the model for the map (default: 100)\n"
    "      --seed N         of its masks; the same seed gives the same map (default: 1)\n"
    "  -o, --output FILE    the frame with the map over it, as PNG. White: the box. Green: a place far from\n"
    "                       it that it hangs on. Yellow: the cells that change the decision when covered\n"
    "      --threads N      of the runtime (default: 1)\n"
    "      --runtime FILE   libonnxruntime.so.1 to use (MUSTER_ONNXRUNTIME)\n" CLIENT_HELP
    "      --json           as JSON, the map with it: result, saliency, faithfulness, counterfactual,\n"
    "                       known_cases\n"
    "\n"
    "examples:\n"
    "  muster explain detector-2 frame.png -o why.png\n"
    "  muster explain detector-2:cpu-x86 frame.png --target 1 --passes 300 --json\n"
    "  muster explain fall-2 window.npy -o why.png\n"
    "  muster explain detector-2 r7.mcap -o why.png\n"
    "  muster explain decision 17\n";

struct wish {
    const char *release, *frame, *output;
    uint64_t seq; /* of a recording */
    struct subject_how subject;
    struct explain_how how;
    bool json;
};

static void show_progress(int done, int passes, void *arg)
{
    progress_show("asking the model", (uint64_t)done, (uint64_t)passes);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* The operand without the variant that it may name. */
static char *without_variant(const char *operand)
{
    const char *colon = strrchr(operand, ':');
    return mem_strndup(operand, colon && !is_folder(operand) ? (size_t)(colon - operand) : strlen(operand));
}

static int read_profile(const struct image *image, struct profile *out, struct err *err)
{
    cleanup_file_map struct file_map map = {0};
    cleanup_free char *path = NULL;
    if (image_profile_path(image, &path, err) < 0)
        return -1;
    if (!path)
        return 0;
    if (file_map(path, &map, err) < 0)
        return -1;
    return profile_parse(map.data, map.size, out, err);
}

/* Of a packed release its digest and its profile; of anything else nothing. */
static int look_up(const char *operand, struct digest *out_digest, struct profile *out, struct err *err)
{
    cleanup_free char *path = without_variant(operand);
    cleanup_image struct image image = {0};
    if (!path)
        return err_no_memory(err);
    if (!is_folder(path) && !strstr(path, "@sha256:"))
        return 0;
    if (target_image(path, &image, err) < 0)
        return -1;
    *out_digest = image.digest;
    return read_profile(&image, out, err);
}

static int paint(const struct subject *subject, const struct explanation *explanation, const char *path,
                 struct err *err)
{
    cleanup_picture struct picture picture = {0};
    if (explanation_paint(subject, explanation, &picture, err) < 0)
        return -1;
    return picture_write_png(path, &picture, err);
}

/* Nothing of a recording that was changed is explained. */
static int read_recording(const struct wish *wish, struct subject *subject, struct incident_frame *out,
                          struct err *err)
{
    cleanup_buf struct buf file = BUF_INIT(INCIDENT_MAX_BYTES);
    cleanup_picture struct picture picture = {0};
    struct incident_verdict verdict;
    if (file_read(wish->frame, &file, err) < 0)
        return -1;
    if (incident_verify(file.data, file.len, NULL, &verdict, err) < 0)
        return err_prefix(err, "%s", wish->frame);
    if (incident_frame(file.data, file.len, &verdict.facts, wish->seq, out, err) < 0 ||
        picture_read_mem(out->picture.data, out->picture.len, &picture, err) < 0)
        return err_prefix(err, "%s", wish->frame);
    return subject_show(subject, &picture, err);
}

static int explain_frame(struct wish *wish, struct err *err)
{
    cleanup_target struct target target = {0};
    cleanup_profile struct profile profile = {0};
    cleanup_subject struct subject *subject = NULL;
    cleanup_explanation struct explanation *explanation = NULL;
    cleanup_incident_frame struct incident_frame recorded = {0};
    const bool recording = str_ends(wish->frame, ".mcap");
    struct explain_said said = {
        .frame = wish->frame, .overlay = wish->output, .seed = wish->how.seed, .passes = wish->how.passes};
    if (target_open(wish->release, &target, err) < 0 ||
        look_up(wish->release, &said.release, &profile, err) < 0 ||
        hash_file(target.model_path, &said.model, NULL, err) < 0 ||
        subject_open(target.model_path, &target.release, &wish->subject, &subject, err) < 0 ||
        (recording ? read_recording(wish, subject, &recorded, err)
                   : subject_read(subject, wish->frame, err)) < 0)
        return -1;
    said.incident = recording ? &recorded : NULL;
    wish->how.profile = profile.prototype_count ? &profile : NULL;
    if (explain_make(subject, &wish->how, &explanation, err) < 0)
        return -1;
    progress_clear();
    if (wish->output && paint(subject, explanation, wish->output, err) < 0)
        return -1;
    said.subject = subject;
    said.explanation = explanation;
    if (wish->json)
        return explain_say_json(&said, err);
    explain_say_text(&said);
    return 0;
}

static int run(int argc, char **argv, struct err *err)
{
    struct wish wish = {.how.progress = show_progress};
    if (argc > 1 && str_eq(argv[1], "decision"))
        return explain_decision(argc - 1, argv + 1, err);
    int64_t frame = -1, target = -1, passes = 100, seed = 1, threads = 1;
    struct operands operands = {.usage = "RELEASE FRAME", .min = 2, .max = 2};
    const struct option_def options[] = {
        OPT_INT("frame", 0, &frame, 0, INT64_MAX),
        OPT_INT("target", 0, &target, 0, INT32_MAX),
        OPT_INT("passes", 0, &passes, SALIENCY_MIN_PASSES, SALIENCY_MAX_PASSES),
        OPT_INT("seed", 0, &seed, 0, INT64_MAX),
        OPT_TEXT("output", 'o', &wish.output),
        OPT_INT("threads", 0, &threads, 1, 64),
        OPT_TEXT("runtime", 0, &wish.subject.runtime_path),
        OPT_FLAG("json", 0, &wish.json),
    };
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    wish.release = operands.items[0];
    wish.frame = operands.items[1];
    wish.seq = frame < 0 ? INCIDENT_LAST_FRAME : (uint64_t)frame;
    wish.subject.threads = (int)threads;
    wish.how.target = target < 0 ? EXPLAIN_STRONGEST : (size_t)target;
    wish.how.passes = (int)passes;
    wish.how.seed = (uint64_t)seed;
    if (frame >= 0 && !str_ends(wish.frame, ".mcap"))
        return err_set(err, ERR_USAGE, "--frame is for recordings (.mcap); %s is the frame itself",
                       wish.frame);
    return explain_frame(&wish, err);
}

const struct verb verb_explain = {
    .name = "explain", .summary = "say why a model said what it said of a frame", .help = help, .run = run};
