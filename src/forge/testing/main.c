/* forge-nets: writes the test networks and samples for them, for tests and benches that are other programs.
 *
 *     forge-nets KIND -o MODEL.onnx [--size N] [--channels N] [--blocks N] [--seed N] [--samples DIR --count N]
 */
#include "base/str.h"
#include "forge/testing/nets.h"

#include <getopt.h>
#include <stdlib.h>

static int usage(void)
{
    fputs("usage: forge-nets KIND -o MODEL.onnx [--size N] [--channels N] [--blocks N] [--seed N] [--samples "
          "DIR --count N]\nkinds:",
          stderr);
    for (int i = 0; i < NET_COUNT; i++)
        fprintf(stderr, " %s", net_name((enum net_kind)i));
    fputs("\n", stderr);
    return 2;
}

static bool find_kind(const char *name, enum net_kind *out)
{
    for (int i = 0; i < NET_COUNT; i++)
        if (str_eq(net_name((enum net_kind)i), name)) {
            *out = (enum net_kind)i;
            return true;
        }
    return false;
}

struct wish {
    const char *model, *samples;
    struct net_shape shape;
    size_t count;
};

static bool read_options(int argc, char **argv, struct wish *out)
{
    static const struct option options[] = {
        {"size", required_argument, NULL, 's'},
        {"channels", required_argument, NULL, 'c'},
        {"blocks", required_argument, NULL, 'b'},
        {"seed", required_argument, NULL, 'r'},
        {"samples", required_argument, NULL, 'd'},
        {"count", required_argument, NULL, 'n'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        long number = optarg ? strtol(optarg, NULL, 10) : 0;
        switch (c) {
        case 'o':
            out->model = optarg;
            break;
        case 's':
            out->shape.size = (int)number;
            break;
        case 'c':
            out->shape.channels = (int)number;
            break;
        case 'b':
            out->shape.blocks = (int)number;
            break;
        case 'r':
            out->shape.seed = (uint32_t)number;
            break;
        case 'd':
            out->samples = optarg;
            break;
        case 'n':
            out->count = (size_t)number;
            break;
        default:
            return false;
        }
    }
    return out->model && optind == argc - 1;
}

int main(int argc, char **argv)
{
    struct wish wish = {.count = 128};
    enum net_kind kind = NET_RESIDUAL;
    struct err err = {0};
    if (!read_options(argc, argv, &wish) || !find_kind(argv[optind], &kind))
        return usage();
    if (net_write(kind, &wish.shape, wish.model, &err) < 0 ||
        (wish.samples &&
         net_samples(wish.samples, net_size(kind, &wish.shape), wish.count, wish.shape.seed + 1, &err) < 0)) {
        fprintf(stderr, "forge-nets: %s\n", err.text);
        return 1;
    }
    return 0;
}
