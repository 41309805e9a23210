/* muster-runner --build-engine: makes the engine that a release wants on this machine (infer/pipeline.h, pipeline_build_engine) in a
 * process of its own, while another one serves.
 *
 *     open the release, check every blob ─▶ copy of the model into the cache ─▶ the cache and this process become `user`'s
 *      ─▶ walls (confine.h: writes nothing but the cache and devices, no network) ─▶ build, in children at the lowest priority
 */
#ifndef MUSTER_ROBOT_RUNNER_BUILD_H
#define MUSTER_ROBOT_RUNNER_BUILD_H

#include "base/digest.h"
#include "base/err.h"

#include <sys/types.h>

struct engine_job {
    const char *layout, *cache_dir;
    const struct digest *release;
    uid_t uid; /* of runners; 0: stay who we are */
    gid_t gid;
    const char *runtime_path;
};

/* 0: it is there. Errors: UNSUPPORTED if there is nothing to build; REFUSED with the reason; as image_open. */
int engine_job_run(const struct engine_job *job, struct err *err) must_check;

#endif
