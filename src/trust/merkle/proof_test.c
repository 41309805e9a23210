#include "trust/merkle/made_log.h"
#include "trust/merkle/proof.h"

enum { SIZES = 300 };

static struct made_log *made;
static struct digest roots[SIZES + 1];

static int setup(void **state)
{
    made = made_new(SIZES);
    for (size_t size = 0; size <= SIZES; size++)
        roots[size] = plain_root(made->leaves, size);
    return 0;
}

static int teardown(void **state)
{
    free(made);
    return 0;
}

/* RFC 6962, section 2.1.1, word for word. */
static void plain_path(size_t index, const struct digest *leaves, size_t count, struct merkle_proof *out)
{
    size_t k = 1;
    if (count <= 1)
        return;
    while (k * 2 < count)
        k *= 2;
    bool left = index < k;
    plain_path(left ? index : index - k, left ? leaves : leaves + k, left ? k : count - k, out);
    out->hashes[out->count++] = left ? plain_root(leaves + k, count - k) : plain_root(leaves, k);
}

/* Section 2.1.2. */
static void plain_consistency(size_t before, const struct digest *leaves, size_t count, bool known,
                              struct merkle_proof *out)
{
    size_t k = 1;
    if (before == count) {
        if (!known)
            out->hashes[out->count++] = plain_root(leaves, count);
        return;
    }
    while (k * 2 < count)
        k *= 2;
    bool left = before <= k;
    plain_consistency(left ? before : before - k, left ? leaves : leaves + k, left ? k : count - k,
                      left && known, out);
    out->hashes[out->count++] = left ? plain_root(leaves + k, count - k) : plain_root(leaves, k);
}

static void assert_same_proof(const struct merkle_proof *a, const struct merkle_proof *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->hashes, b->hashes, a->count * sizeof a->hashes[0]);
}

static void inclusion_is_proved_for_every_entry_of_every_size(void **state)
{
    struct merkle_source source = made_source(made);
    struct err err = {0};
    for (size_t size = 1; size <= SIZES; size++)
        for (size_t i = 0; i<size; i += size> 80 ? 7 : 1) {
            struct merkle_proof proof, plain = {0};
            assert_ok(merkle_prove_inclusion(&source, i, size, &proof, &err), err);
            plain_path(i, made->leaves, size, &plain);
            assert_same_proof(&proof, &plain);
            assert_true(merkle_check_inclusion(&made->leaves[i], i, size, &roots[size], &proof));
        }
}

static void consistency_is_proved_between_every_two_sizes(void **state)
{
    struct merkle_source source = made_source(made);
    struct err err = {0};
    for (size_t size = 0; size <= SIZES; size++)
        for (size_t before = 0; before <= size; before += size > 80 ? 7 : 1) {
            struct merkle_proof proof, plain = {0};
            assert_ok(merkle_prove_consistency(&source, before, size, &proof, &err), err);
            if (before && before < size)
                plain_consistency(before, made->leaves, size, true, &plain);
            assert_same_proof(&proof, &plain);
            assert_true(merkle_check_consistency(before, &roots[before], size, &roots[size], &proof));
        }
}

/* Each bit of each hash, of the leaf and of the root; one hash more, one less, two exchanged; every other place and size. */
static void inclusion(size_t index, size_t size)
{
    struct merkle_source source = made_source(made);
    struct merkle_proof proof;
    struct err err = {0};
    assert_ok(merkle_prove_inclusion(&source, index, size, &proof, &err), err);
    struct digest leaf = made->leaves[index], root = roots[size];
    for (size_t bit = 0; bit < 256; bit++) {
        uint8_t flip = (uint8_t)(1 << bit % 8);
        for (size_t i = 0; i < proof.count; i++) {
            proof.hashes[i].bytes[bit / 8] ^= flip;
            assert_false(merkle_check_inclusion(&leaf, index, size, &root, &proof));
            proof.hashes[i].bytes[bit / 8] ^= flip;
        }
        leaf.bytes[bit / 8] ^= flip;
        assert_false(merkle_check_inclusion(&leaf, index, size, &root, &proof));
        leaf.bytes[bit / 8] ^= flip;
        root.bytes[bit / 8] ^= flip;
        assert_false(merkle_check_inclusion(&leaf, index, size, &root, &proof));
        root.bytes[bit / 8] ^= flip;
    }
    for (size_t other = 0; other <= size; other++)
        assert_int_equal(merkle_check_inclusion(&leaf, other, size, &root, &proof), other == index);
    if (proof.count) {
        proof.count--;
        assert_false(merkle_check_inclusion(&leaf, index, size, &root, &proof));
        proof.count++;
    }
    proof.hashes[proof.count++] = roots[3];
    assert_false(merkle_check_inclusion(&leaf, index, size, &root, &proof));
}

static void a_changed_inclusion_proof_fails(void **state)
{
    for (size_t size = 1; size <= 40; size++)
        for (size_t index = 0; index < size; index += 3)
            inclusion(index, size);
    inclusion(255, 257);
    inclusion(256, 257);
}

static void consistency(size_t before, size_t size)
{
    struct merkle_source source = made_source(made);
    struct merkle_proof proof;
    struct err err = {0};
    assert_ok(merkle_prove_consistency(&source, before, size, &proof, &err), err);
    struct digest old = roots[before], root = roots[size];
    for (size_t bit = 0; bit < 256; bit++) {
        uint8_t flip = (uint8_t)(1 << bit % 8);
        for (size_t i = 0; i < proof.count; i++) {
            proof.hashes[i].bytes[bit / 8] ^= flip;
            assert_false(merkle_check_consistency(before, &old, size, &root, &proof));
            proof.hashes[i].bytes[bit / 8] ^= flip;
        }
        old.bytes[bit / 8] ^= flip;
        assert_false(merkle_check_consistency(before, &old, size, &root, &proof));
        old.bytes[bit / 8] ^= flip;
        root.bytes[bit / 8] ^= flip;
        /* From nothing everything follows, signed or not. */
        assert_int_equal(merkle_check_consistency(before, &old, size, &root, &proof),
                         before == 0 && size > 0);
        root.bytes[bit / 8] ^= flip;
    }
    if (proof.count) {
        proof.count--;
        assert_false(merkle_check_consistency(before, &old, size, &root, &proof));
        proof.count++;
    }
    proof.hashes[proof.count++] = roots[3];
    assert_false(merkle_check_consistency(before, &old, size, &root, &proof));
    assert_false(merkle_check_consistency(size + 1, &old, size, &root, &proof));
}

static void a_changed_consistency_proof_fails(void **state)
{
    for (size_t size = 1; size <= 40; size++)
        for (size_t before = 0; before <= size; before += 3)
            consistency(before, size);
    consistency(256, 257);
    consistency(255, 300);
    consistency(299, 300);
}

/* A log in which one old entry is another one is no continuation, with whatever proof it makes of itself. */
static void a_fork_has_no_proof(void **state)
{
    struct err err = {0};
    for (size_t changed = 0; changed < 90; changed += 11) {
        struct made_log *fork = made_new(100);
        memset(&fork->leaves[changed], 7, sizeof fork->leaves[changed]);
        struct digest root = plain_root(fork->leaves, 100);
        struct merkle_source source = made_source(fork);
        for (size_t before = changed + 1; before < 100; before++) {
            struct merkle_proof proof;
            assert_ok(merkle_prove_consistency(&source, before, 100, &proof, &err), err);
            assert_false(merkle_check_consistency(before, &roots[before], 100, &root, &proof));
        }
        free(fork);
    }
}

static void what_is_not_there_is_not_proved(void **state)
{
    struct merkle_source source = made_source(made);
    struct merkle_proof proof;
    struct err err = {0};
    assert_fails(merkle_prove_inclusion(&source, 5, 5, &proof, &err), err, ERR_INVALID);
    assert_fails(merkle_prove_inclusion(&source, 5, SIZES + 1, &proof, &err), err, ERR_CORRUPT);
    assert_fails(merkle_prove_consistency(&source, 6, 5, &proof, &err), err, ERR_INVALID);
    assert_false(merkle_check_inclusion(&made->leaves[0], 0, 0, &roots[0], &(struct merkle_proof){0}));
    assert_false(merkle_check_inclusion(&made->leaves[0], UINT64_MAX, UINT64_MAX, &roots[1],
                                        &(struct merkle_proof){.count = MERKLE_PROOF_MAX}));
    assert_false(merkle_check_consistency(3, &roots[3], UINT64_MAX, &roots[4],
                                          &(struct merkle_proof){.count = MERKLE_PROOF_MAX}));
}

/* A longer or shorter way than the claimed size wants leads nowhere, whatever it leads to. */
static void a_proof_has_the_length_that_its_sizes_want(void **state)
{
    enum { FEW = 20 };
    struct merkle_source source = made_source(made);
    struct err err = {0};
    for (size_t size = 1; size <= FEW; size++)
        for (size_t at = 0; at < size; at++)
            for (size_t claim = 1; claim <= FEW; claim++)
                for (size_t place = 0; place < claim; place++) {
                    struct merkle_proof proof, wanted;
                    assert_ok(merkle_prove_inclusion(&source, at, size, &proof, &err), err);
                    assert_ok(merkle_prove_inclusion(&source, place, claim, &wanted, &err), err);
                    if (proof.count != wanted.count)
                        assert_false(
                            merkle_check_inclusion(&made->leaves[at], place, claim, &roots[size], &proof));
                    assert_ok(merkle_prove_consistency(&source, at + 1, size, &proof, &err), err);
                    assert_ok(merkle_prove_consistency(&source, place + 1, claim, &wanted, &err), err);
                    if (proof.count != wanted.count)
                        assert_false(
                            merkle_check_consistency(place + 1, &roots[at + 1], claim, &roots[size], &proof));
                }
}

/* Equal roots and an empty proof, which would prove that nothing has changed. */
static void sizes_are_in_order_and_in_range(void **state)
{
    const struct merkle_proof empty = {0};
    const uint64_t beyond = (uint64_t)INT64_MAX + 1;
    struct merkle_source source = made_source(made);
    struct merkle_proof proof;
    struct err err = {0};
    for (uint64_t before = 2; before <= 64; before++)
        for (uint64_t size = 0; size < before; size++)
            assert_false(merkle_check_consistency(before, &roots[3], size, &roots[3], &empty));
    assert_true(merkle_check_consistency(INT64_MAX, &roots[3], INT64_MAX, &roots[3], &empty));
    assert_false(merkle_check_consistency(beyond, &roots[3], beyond, &roots[3], &empty));
    assert_fails(merkle_prove_inclusion(&source, 0, beyond, &proof, &err), err, ERR_INVALID);
    assert_fails(merkle_prove_consistency(&source, 1, beyond, &proof, &err), err, ERR_INVALID);
}

/* A source whose k-th read, from 1, fails. */
struct broken {
    int at, reads;
};

static int broken_read(void *arg, unsigned level, uint64_t index, size_t count, struct digest *out,
                       struct err *err)
{
    struct broken *broken = arg;
    if (++broken->reads == broken->at)
        return err_set(err, ERR_IO, "the disk says no");
    return made_read(made, level, index, count, out, err);
}

static void what_cannot_be_read_is_not_proved(void **state)
{
    struct broken counting = {0};
    struct merkle_source source = {.read = broken_read, .arg = &counting};
    struct merkle_proof proof;
    struct err err = {0};
    assert_ok(merkle_prove_consistency(&source, 7, 29, &proof, &err), err);
    for (int at = 1; at <= counting.reads; at++) {
        struct broken broken = {.at = at};
        source.arg = &broken;
        assert_fails(merkle_prove_consistency(&source, 7, 29, &proof, &err), err, ERR_IO);
        broken = (struct broken){.at = at % 4 + 1};
        assert_fails(merkle_prove_inclusion(&source, 7, 29, &proof, &err), err, ERR_IO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inclusion_is_proved_for_every_entry_of_every_size),
        cmocka_unit_test(consistency_is_proved_between_every_two_sizes),
        cmocka_unit_test(a_changed_inclusion_proof_fails),
        cmocka_unit_test(a_changed_consistency_proof_fails),
        cmocka_unit_test(a_fork_has_no_proof),
        cmocka_unit_test(what_is_not_there_is_not_proved),
        cmocka_unit_test(a_proof_has_the_length_that_its_sizes_want),
        cmocka_unit_test(sizes_are_in_order_and_in_range),
        cmocka_unit_test(what_cannot_be_read_is_not_proved),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
