/* A robot program: frames in, checked results out. Build it against include/muster/muster.h and libmuster alone:
 *     cc robot.c -lmuster -o robot && ./robot /run/muster 1000
 * Signals stand for hardware here: USR1 presses the emergency stop, USR2 releases it. */
#include <muster/muster.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t estop_line; /* yours: a GPIO, the motor controller's status word */

static void hardware(int signal_number)
{
    estop_line = signal_number == SIGUSR1;
}

int main(int argc, char **argv)
{
    struct muster_options options = {
        .run_dir = argc > 1 ? argv[1] : "/run/muster", .width = 64, .height = 48};
    long frames = argc > 2 ? strtol(argv[2], NULL, 10) : 100;
    char why[MUSTER_TEXT_SIZE];
    struct muster *robot;
    signal(SIGUSR1, hardware);
    signal(SIGUSR2, hardware);
    if (muster_open(&options, &robot, why) != 0)
        return fprintf(stderr, "robot: %s\n", why), 1;
    for (int pressed = 0; frames > 0; frames--) {
        if (pressed != estop_line && muster_estop(robot, estop_line) == 0)
            pressed = estop_line; /* a mirror: the hardware stopped already */
        memset(muster_frame_begin(robot), (int)frames & 0xff, 64 * 48 * 3); /* the camera writes in place */
        uint64_t seq = muster_frame_submit(robot, 0, 50000); /* captured now, of use for 50 ms */
        struct muster_verdict verdict;
        if (muster_verdict_wait(robot, seq, &verdict) == MUSTER_SAFE)
            printf("safe: %s, state %s\n", muster_reason_name(verdict.reason),
                   muster_state_name(verdict.state));
        else /* checked, for this very frame, in time: act upon it */
            printf("%s: %u objects of %s\n", muster_answer_name(verdict.answer), verdict.count,
                   verdict.release);
        fflush(stdout);
    }
    muster_close(robot);
    return 0;
}
