#include "stats/detection.h"

#include "base/mem.h"
#include "base/testing.h"

#include <math.h>

struct placed {
    size_t frame;
    struct detection box;
};

static const struct vector {
    double ap50, ap;
    size_t truth_count, found_count;
    struct placed truth[64], found[96];
} vectors[] = {
#include "stats/coco_vectors.inc"
};

static size_t of_frame(const struct placed *items, size_t count, size_t frame, struct detection *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (items[i].frame == frame)
            out[kept++] = items[i].box;
    return kept;
}

static void the_reference_implementation_gives_the_same(void **state)
{
    for (size_t v = 0; v < ARRAY_LEN(vectors); v++) {
        const struct vector *vector = &vectors[v];
        struct ap_meter *meter = ap_meter_new(3);
        for (size_t frame = 0; frame < 16; frame++) {
            struct detection truth[64], found[96];
            size_t truths = of_frame(vector->truth, vector->truth_count, frame, truth);
            size_t count = of_frame(vector->found, vector->found_count, frame, found);
            assert_int_equal(ap_meter_add(meter, found, count, truth, truths), 0);
        }
        double ap50 = 0, classes = 0;
        for (size_t label = 0; label < 3; label++) {
            double ap = ap_meter_coco(meter, label, 0.5);
            ap50 += isnan(ap) ? 0 : ap;
            classes += !isnan(ap);
        }
        if (fabs(ap50 / classes - vector->ap50) > 1e-6 || fabs(ap_meter_coco_map(meter) - vector->ap) > 1e-6)
            fail_msg("case %zu: AP50 %.9f, reference %.9f; AP %.9f, reference %.9f", v, ap50 / classes,
                     vector->ap50, ap_meter_coco_map(meter), vector->ap);
        ap_meter_free(meter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_reference_implementation_gives_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
