/* What every unit test includes: cmocka with the headers it needs in the order it needs them. */
#ifndef MUSTER_BASE_TESTING_H
#define MUSTER_BASE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Runs `call`, which must return 0, and shows the error line if it does not. */
#define assert_ok(call, err)                                                                                 \
    do {                                                                                                     \
        if ((call) != 0)                                                                                     \
            fail_msg("%s: %s", #call, (err).text);                                                           \
    } while (0)

/* Runs `call`, which must fail with `want`. */
#define assert_fails(call, err, want)                                                                        \
    do {                                                                                                     \
        (err) = (struct err){0};                                                                             \
        if ((call) == 0)                                                                                     \
            fail_msg("%s: succeeded, wanted %s", #call, err_code_name(want));                                \
        if ((err).code != (want))                                                                            \
            fail_msg("%s: %s (%s), wanted %s", #call, err_code_name((err).code), (err).text,                 \
                     err_code_name(want));                                                                   \
    } while (0)

#endif
