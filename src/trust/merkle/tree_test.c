#include "trust/merkle/made_log.h"

#include "base/hex.h"

/* The vectors of the reference implementation of RFC 6962: eight leaves and the root after each. */
static const struct {
    const char *entry, *root;
} vectors[] = {
    {"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {"606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

static void assert_hex(const struct digest *digest, const char *hex)
{
    struct digest_text text = digest_format(digest);
    assert_string_equal(digest_hex(&text), hex);
}

static void it_is_the_tree_of_rfc_6962(void **state)
{
    struct merkle_tree tree = {0};
    struct err err = {0};
    struct digest root = merkle_root(&tree);
    assert_hex(&root, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        uint8_t entry[16];
        assert_true(hex_decode(vectors[i].entry, strlen(vectors[i].entry), entry));
        struct digest leaf = merkle_leaf(entry, strlen(vectors[i].entry) / 2);
        assert_ok(merkle_append(&tree, &leaf, NULL, NULL, &err), err);
        root = merkle_root(&tree);
        assert_hex(&root, vectors[i].root);
    }
}

/* Every size, also across the ends of tiles of two levels. */
static void its_root_is_the_plain_one(void **state)
{
    struct made_log *log = made_new(700);
    struct merkle_source source = made_source(log);
    struct merkle_tree grown = {0};
    struct err err = {0};
    for (size_t size = 0; size <= 700; size++) {
        struct merkle_tree restored;
        struct digest plain = plain_root(log->leaves, size), root = merkle_root(&grown);
        assert_same(&root, &plain);
        assert_ok(merkle_restore(&source, size, &restored, &err), err);
        root = merkle_root(&restored);
        assert_same(&root, &plain);
        if (size)
            assert_ok(merkle_range(&source, 0, size, &root, &err), err);
        assert_same(&root, &plain);
        assert_ok(merkle_append(&grown, &log->leaves[size], NULL, NULL, &err), err);
    }
    free(log);
}

/* What is emitted are the roots of the subtrees of 256 and 65536 leaves, and they suffice. */
static void tiles_of_higher_levels_are_subtrees(void **state)
{
    struct made_log *log = made_new(MADE_MAX);
    struct merkle_source source = made_source(log);
    struct err err = {0};
    assert_int_equal(log->row_counts[1], MADE_MAX / 256);
    assert_int_equal(log->row_counts[2], MADE_MAX / 65536);
    for (size_t i = 0; i < log->row_counts[1]; i++) {
        struct digest plain = plain_root(log->leaves + i * 256, 256);
        assert_same(&log->rows[1][i], &plain);
    }
    struct digest plain = plain_root(log->leaves, 65536), root;
    assert_same(&log->rows[2][0], &plain);
    plain = plain_root(log->leaves, MADE_MAX);
    assert_ok(merkle_range(&source, 0, MADE_MAX, &root, &err), err);
    assert_same(&root, &plain);
    free(log);
}

static int refuse(unsigned level, uint64_t index, const struct digest *hash, void *arg, struct err *err)
{
    return err_set(err, ERR_NO_SPACE, "full");
}

static void what_cannot_be_kept_is_not_appended(void **state)
{
    struct made_log *log = made_new(255);
    struct merkle_tree before = log->tree;
    struct digest leaf = {{1}};
    struct err err = {0};
    assert_fails(merkle_append(&log->tree, &leaf, refuse, NULL, &err), err, ERR_NO_SPACE);
    assert_memory_equal(&log->tree, &before, sizeof before);
    log->row_counts[1] = 0;
    struct merkle_source source = made_source(log);
    struct merkle_tree tree;
    assert_fails(merkle_restore(&source, 256, &tree, &err), err, ERR_CORRUPT);
    free(log);
}

/* The k-th hash of a higher level, from 1, is not kept; then the leaf is not appended either, and may be again. */
struct refusing {
    int at, calls;
};

static int refuse_one(unsigned level, uint64_t index, const struct digest *hash, void *arg, struct err *err)
{
    struct refusing *refusing = arg;
    (void)level;
    (void)index;
    (void)hash;
    return ++refusing->calls == refusing->at ? err_set(err, ERR_IO, "the disk says no") : 0;
}

static void each_hash_of_a_higher_level_is_kept_or_nothing(void **state)
{
    enum { LEAVES = 1024 };
    for (int at = 1; at <= LEAVES / 256; at++) {
        struct refusing refusing = {.at = at};
        struct merkle_tree tree = {0};
        struct err err = {0};
        int refused = 0;
        while (tree.size < LEAVES) {
            uint64_t size = tree.size;
            struct digest leaf = merkle_leaf(&size, sizeof size);
            if (merkle_append(&tree, &leaf, refuse_one, &refusing, &err) == 0)
                continue;
            assert_int_equal(tree.size, size);
            refused++;
        }
        assert_int_equal(refused, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_tree_of_rfc_6962),
        cmocka_unit_test(its_root_is_the_plain_one),
        cmocka_unit_test(tiles_of_higher_levels_are_subtrees),
        cmocka_unit_test(what_cannot_be_kept_is_not_appended),
        cmocka_unit_test(each_hash_of_a_higher_level_is_kept_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
