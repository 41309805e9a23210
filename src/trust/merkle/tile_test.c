#include "base/testing.h"

#include "base/mem.h"
#include "trust/merkle/tile.h"

#include <string.h>

static void paths_are_those_of_tlog_tiles(void **state)
{
    static const struct {
        struct merkle_tile tile;
        const char *path;
    } cases[] = {
        {{.level = 0, .index = 0, .width = 256}, "0/000"},
        {{.level = 0, .index = 0, .width = 1}, "0/000.p/1"},
        {{.level = 1, .index = 999, .width = 255}, "1/999.p/255"},
        {{.level = 0, .index = 1000, .width = 256}, "0/x001/000"},
        {{.level = 2, .index = 1234067, .width = 256}, "2/x001/x234/067"},
        {{.entries = true, .index = 1234067, .width = 9}, "entries/x001/x234/067.p/9"},
        {{.level = 0, .index = 1000067, .width = 256}, "0/x001/x000/067"},
        {{.level = 0, .index = INT64_MAX, .width = 256}, "0/x009/x223/x372/x036/x854/x775/807"},
        {{.level = 7, .index = INT64_MAX >> 8, .width = 256}, "7/x036/x028/x797/x018/x963/967"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[MERKLE_TILE_PATH_SIZE];
        struct merkle_tile tile;
        merkle_tile_format(&cases[i].tile, path);
        assert_string_equal(path, cases[i].path);
        assert_true(merkle_tile_parse(path, &tile));
        assert_int_equal(tile.entries, cases[i].tile.entries);
        assert_int_equal(tile.level, cases[i].tile.level);
        assert_int_equal(tile.index, cases[i].tile.index);
        assert_int_equal(tile.width, cases[i].tile.width);
    }
}

static void there_is_one_spelling_of_each(void **state)
{
    static const char *const wrong[] = {"",
                                        "0",
                                        "0/",
                                        "8/000",
                                        "00/000",
                                        "-1/000",
                                        "0/0",
                                        "0/00",
                                        "0/0000",
                                        "0/x000/001",
                                        "0/x001",
                                        "0/x001/",
                                        "0/001/002",
                                        "0/000.p/0",
                                        "0/000.p/",
                                        "0/000.p/01",
                                        "0/000.p/256",
                                        "0/000.p/1000",
                                        "0/000.p/1x",
                                        "0/000/",
                                        "0/000.p",
                                        "entries/0",
                                        "entries/",
                                        "entries/00a",
                                        "x/000",
                                        "0/ 00",
                                        "0/+01",
                                        "0//000",
                                        "0/x1/x00/0",
                                        "data/000",
                                        "0/000.p/+1",
                                        "0/../0/000",
                                        "0/x999/x999/x999/x999/x999/x999/x999/999",
                                        "0/x001-001",
                                        "//000",
                                        "./000",
                                        "\xff/000",
                                        "0:000",
                                        "00000",
                                        "0/x009/x223/x372/x036/x854/x775/808",
                                        "0/x018/x446/x744/x073/x709/x551/616",
                                        "0/x999/x999/x999/x999/x999/x999/999"};
    struct merkle_tile tile;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (merkle_tile_parse(wrong[i], &tile))
            fail_msg("\"%s\" was taken", wrong[i]);
}

static void a_tile_is_as_wide_as_the_log_reaches(void **state)
{
    assert_int_equal(merkle_tile_width(0, 0, 0), 0);
    assert_int_equal(merkle_tile_width(0, 0, 255), 255);
    assert_int_equal(merkle_tile_width(0, 0, 256), 256);
    assert_int_equal(merkle_tile_width(0, 1, 256), 0);
    assert_int_equal(merkle_tile_width(0, 1, 300), 44);
    assert_int_equal(merkle_tile_width(1, 0, 300), 1);
    assert_int_equal(merkle_tile_width(1, 1, 300), 0);
    assert_int_equal(merkle_tile_width(2, 0, 65536), 1);
    assert_int_equal(merkle_tile_width(0, UINT64_MAX, 65536), 0);
    assert_int_equal(merkle_tile_width(9, 0, INT64_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_those_of_tlog_tiles),
        cmocka_unit_test(there_is_one_spelling_of_each),
        cmocka_unit_test(a_tile_is_as_wide_as_the_log_reaches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
