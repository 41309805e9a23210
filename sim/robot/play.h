/* Plays a robot program: a camera in sim/world, libmuster, and honest book-keeping of what came back.
 *
 * At the dock, and only there, it knows what it sees: it compares, tells the guard the score and logs the
 * frame. Its world follows the clock, so that one that is killed and started again goes on where it would be.
 * With another camera (sim/camera) it shows what that gives; a picture that cannot be read is a black frame.
 */
#ifndef MUSTER_SIM_ROBOT_PLAY_H
#define MUSTER_SIM_ROBOT_PLAY_H

#include "base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct play_options {
    const char *run_dir;
    const char *log_path; /* NULL: none */
    const char *board;    /* drone: where its battery is shown; NULL: nowhere */
    const char *world;    /* for the verb: which player */
    const char *camera;   /* NULL: the world of seed and site */
    uint64_t seed;
    int site;
    double fps;
    double speed; /* of the humanoid's world against the clock */
    bool stuck;   /* its vertical accelerometer tells the same number for ever */
    uint32_t deadline_ms;
    int dock_period_ms, dock_ms; /* 0: as the world has it */
    uint64_t frames;             /* 0: until *stop */
};

/* Runs until *stop is set, or `frames` were played. */
int play_robot(const struct play_options *options, const volatile sig_atomic_t *stop,
               struct err *err) must_check;

#endif
