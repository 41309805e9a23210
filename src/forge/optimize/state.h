/* What has been done already: WORK/state.json. A step is done while its key, a digest of everything that it depends on, is the recorded one and its
 * files are there with the recorded bytes.
 *
 *     {"schema": 1, "steps": [{"step": "observe", "key": "sha256:…", "files": [{"path": ".work/observed.bin", "sha256": "sha256:…"}]}]}
 *
 * A state that cannot be read is an empty one: everything is done anew.
 */
#ifndef MUSTER_FORGE_OPTIMIZE_STATE_H
#define MUSTER_FORGE_OPTIMIZE_STATE_H

#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { STATE_MAX_STEPS = 16, STATE_MAX_FILES = 4 };

struct state {
    char *dir; /* OUT, owned */
    size_t count;
    struct state_step {
        char name[32];
        struct digest key;
        size_t file_count;
        struct state_file {
            char path[64]; /* below OUT */
            struct digest digest;
        } files[STATE_MAX_FILES];
    } steps[STATE_MAX_STEPS];
};

int state_open(const char *out_dir, struct state *out, struct err *err) must_check;
void state_fini(struct state *state);
#define cleanup_state __attribute__((cleanup(state_fini)))

bool state_done(const struct state *state, const char *step, const struct digest *key);
/* Before a step is worked on, so that nobody takes what is half-way for done. */
int state_forget(struct state *state, const char *step, struct err *err) must_check;
/* `files`: below OUT, up to STATE_MAX_FILES; "" are left out. */
int state_record(struct state *state, const char *step, const struct digest *key, const char *const *files,
                 size_t file_count, struct err *err) must_check;

#endif
