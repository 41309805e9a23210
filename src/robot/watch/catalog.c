#include "robot/watch/catalog.h"

#include "base/mem.h"
#include "base/str.h"
#include "release/image.h"
#include "sys/file.h"
#include "wire/profile.h"

#include <math.h>
#include <string.h>

static void describe(const struct release *release, struct subject_about *out)
{
    bool scores = release->postprocess.decoder != DECODER_RAW;
    out->label_count = release->label_count;
    for (size_t i = 0; i < MIN(release->label_count, (size_t)SIGNAL_LABELS); i++)
        str_copy(out->labels[i], sizeof out->labels[i], release->labels[i]);
    str_copy(out->version, sizeof out->version, release->version);
    out->threshold = scores ? release->postprocess.score_threshold : NAN;
    out->is_event = scores && release->task == TASK_TIMESERIES;
}

/* Its digest was checked when it came in, its own checksum is checked here. */
static int load_profile(const struct image *image, struct subject_about *out, struct err *err)
{
    cleanup_profile struct profile profile = {0};
    cleanup_buf struct buf bytes = BUF_INIT(PROFILE_MAX_BYTES);
    cleanup_free char *path = NULL;
    if (image_profile_path(image, &path, err) < 0)
        return -1;
    if (!path)
        return 0;
    if (file_read(path, &bytes, err) < 0 || profile_parse(bytes.data, bytes.len, &profile, err) < 0)
        return err_prefix(err, "profile of %s %s", image->release.name, image->release.version);
    memcpy(out->references, profile.signals, sizeof out->references);
    out->has_profile = true;
    return 0;
}

static int load_from(const char *store, const struct digest *release, struct subject_about *out,
                     struct err *err)
{
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image); /* too large for a stack */
    if (!image)
        return err_no_memory(err);
    if (image_open(store, release, image, err) < 0)
        return -1;
    *out = (struct subject_about){0};
    describe(&image->release, out);
    int done = load_profile(image, out, err);
    image_close(image);
    return done;
}

int catalog_load(const struct catalog *catalog, const struct digest *release, struct subject_about *out,
                 struct err *err)
{
    struct digest_text text = digest_format(release);
    struct err last = {0};
    for (size_t i = 0; i < catalog->count; i++) {
        last = (struct err){0};
        if (load_from(catalog->stores[i], release, out, &last) == 0)
            return 0;
        if (last.code != ERR_NOT_FOUND)
            break;
    }
    if (last.code == ERR_NONE || last.code == ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND,
                       "%.19s is in no store that is known here; name its store with --store-dir", text.text);
    *err = last;
    return -1;
}
