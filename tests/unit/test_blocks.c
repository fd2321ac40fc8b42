/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of buffered bodies: within its limit, kept for reuse, given back when not needed.
 * For systems with pages of up to 16 KB; with larger ones there are no small blocks. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "etv_check.h"

#include "core/blocks.h"

#define SMALL ETV_BLOCKS_SMALL
#define LARGE ETV_BLOCKS_LARGE

static void *get(int large)
{
    apr_size_t usable;
    void *block = etv_blocks_get(large, &usable);

    ck_assert_ptr_nonnull(block);
    return block;
}

/* At a time that stands still: none of these tests depends on how long it takes. */
static void give(void *block)
{
    etv_blocks_give_at(block, 0);
}

static void get_none(int large)
{
    apr_size_t usable = 1;

    ck_assert_ptr_null(etv_blocks_get(large, &usable));
    ck_assert_uint_eq(usable, 0);
}

static void assert_bytes(apr_size_t used, apr_size_t kept)
{
    ck_assert_uint_eq(etv_blocks_used(), used);
    ck_assert_uint_eq(etv_blocks_kept(), kept);
}

/* Tests may share a process: each begins with nothing used or kept. */
static void begin(apr_size_t limit)
{
    etv_blocks_limit(0);
    assert_bytes(0, 0);
    etv_blocks_limit(limit);
}

/* Must be the first. */
START_TEST(none_before_a_limit_is_set)
{
    get_none(0);
    get_none(1);
    assert_bytes(0, 0);
}
END_TEST

START_TEST(limit_is_exact)
{
    apr_size_t usable;
    void *first, *second, *small;

    begin(2 * LARGE + SMALL);
    first = etv_blocks_get(1, &usable);
    ck_assert_uint_ge(usable, LARGE - 64);
    ck_assert_uint_le(usable, LARGE);
    second = get(1);
    get_none(1);
    assert_bytes(2 * LARGE, 0);
    small = etv_blocks_get(0, &usable);
    ck_assert_uint_ge(usable, SMALL - 64);
    ck_assert_uint_le(usable, SMALL);
    get_none(0);
    get_none(1);
    assert_bytes(2 * LARGE + SMALL, 0);

    give(second);
    give(small);
    give(first);
    assert_bytes(0, 2 * LARGE + SMALL);
    begin(SMALL - 1);
    get_none(0);
    begin(LARGE - 1);
    get_none(1);
    give(get(0));
}
END_TEST

/* All of the usable bytes, of neighbours too, and a fresh cache line to begin with. */
START_TEST(blocks_do_not_overlap)
{
    enum { COUNT = 40 };
    unsigned char *data[COUNT];
    apr_size_t usable[COUNT];

    begin(COUNT * LARGE);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            data[i] = etv_blocks_get(i % 3 == round, &usable[i]);
            ck_assert_ptr_nonnull(data[i]);
            ck_assert_uint_eq((apr_uintptr_t)data[i] % 64, 0);
            memset(data[i], i + 1, usable[i]);
        }
        for (int i = 0; i < COUNT; i++) {
            for (apr_size_t at = 0; at < usable[i]; at++) {
                if (data[i][at] != i + 1) {
                    ck_abort_msg("block %d, byte %zu", i, at);
                }
            }
            give(data[i]);
        }
    }
    ck_assert_uint_eq(etv_blocks_used(), 0);
}
END_TEST

START_TEST(what_was_given_back_is_used_again)
{
    void *large, *small;

    begin(10 * LARGE);
    large = get(1);
    small = get(0);
    give(large);
    give(small);
    assert_bytes(0, LARGE + SMALL);
    ck_assert_ptr_eq(get(1), large);
    assert_bytes(LARGE, SMALL);
    ck_assert_ptr_eq(get(0), small);
    assert_bytes(LARGE + SMALL, 0);
    give(small);
    give(large);
}
END_TEST

/* A limit that is full of kept blocks of one size does not keep the other size out. */
START_TEST(kept_blocks_make_room_for_the_other_size)
{
    enum { COUNT = 8 };
    void *small[COUNT], *large[COUNT / 4];

    begin(COUNT * SMALL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            small[i] = get(0);
        }
        get_none(1);
        for (int i = 0; i < COUNT; i++) {
            give(small[i]);
        }
        assert_bytes(0, COUNT * SMALL);
        large[0] = get(1);
        assert_bytes(LARGE, COUNT / 2 * SMALL);
        large[1] = get(1);
        assert_bytes(2 * LARGE, 0);
        give(large[0]);
        give(large[1]);
        assert_bytes(0, 2 * LARGE);
    }
}
END_TEST

START_TEST(lower_limit_takes_nothing_away)
{
    char *first, *second;

    begin(4 * LARGE);
    first = get(1);
    second = get(1);
    give(get(0));
    etv_blocks_limit(LARGE);
    assert_bytes(2 * LARGE, 0);
    get_none(0);
    first[0] = second[0] = 1;
    give(first);
    assert_bytes(LARGE, 0); /* nothing may be kept: the other one is all that the limit allows */
    get_none(0);
    give(second);
    assert_bytes(0, LARGE);
    ck_assert_ptr_eq(get(1), second);
    give(second);
}
END_TEST

START_TEST(any_limit_is_safe)
{
    static const apr_size_t limits[] = {APR_SIZE_MAX, APR_SIZE_MAX - 1, APR_SIZE_MAX - LARGE,
                                        APR_SIZE_MAX / 2 + 1};

    for (size_t i = 0; i < ETV_ROWS(limits); i++) {
        void *a, *b;

        begin(limits[i]);
        a = get(1);
        b = get(0);
        assert_bytes(LARGE + SMALL, 0);
        give(a);
        give(b);
        assert_bytes(0, LARGE + SMALL);
    }
}
END_TEST

/* No more address space: the caller hears of it, and nothing is counted. */
START_TEST(no_memory_is_not_counted)
{
    struct rlimit old, none = {0, 0};
    apr_size_t usable = 1;
    void *kept, *block, *reused;

    begin(4 * LARGE);
    kept = get(1);
    give(kept);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
    none.rlim_max = old.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &none), 0);
    reused = etv_blocks_get(1, &usable);
    block = etv_blocks_get(1, &usable);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &old), 0);

    ck_assert_ptr_eq(reused, kept);
    ck_assert_ptr_null(block);
    ck_assert_uint_eq(usable, 0);
    assert_bytes(LARGE, 0);
    give(reused);
}
END_TEST

static void get_and_give_at(int count, int large, apr_uint32_t now_s)
{
    void **all = apr_palloc(pool, (apr_size_t)count * sizeof(*all));

    for (int i = 0; i < count; i++) {
        all[i] = get(large);
    }
    for (int i = 0; i < count; i++) {
        etv_blocks_give_at(all[i], now_s);
    }
}

/* Requests that need so many blocks at once, for some periods. */
static void work(int count, int large, apr_uint32_t *now_s, int periods)
{
    for (int i = 0; i < periods; i++) {
        for (int request = 0; request < 10; request++) {
            get_and_give_at(count, large, *now_s);
        }
        *now_s += ETV_BLOCKS_PERIOD_S;
    }
}

/* Also when the clock begins just before it turns over. */
START_TEST(surplus_goes_back)
{
    static const apr_uint32_t starts[] = {0, 1000, APR_UINT32_MAX - 2};

    for (size_t i = 0; i < ETV_ROWS(starts); i++) {
        for (int large = 0; large < 2; large++) {
            apr_size_t size = large ? LARGE : SMALL;
            apr_uint32_t now_s = starts[i];

            begin(200 * LARGE);
            get_and_give_at(100, large, now_s);
            assert_bytes(0, 100 * size);
            work(10, large, &now_s, 1);
            assert_bytes(0, 100 * size); /* the burst is not over for a whole period */
            work(10, large, &now_s, 5);
            assert_bytes(0, 10 * size);
            work(1, large, &now_s, 3);
            assert_bytes(0, 1 * size);
        }
    }
}
END_TEST

START_TEST(what_is_needed_stays)
{
    apr_uint32_t now_s = 7;

    begin(200 * LARGE);
    work(30, 1, &now_s, 1);
    for (int i = 0; i < 20; i++) {
        work(30, 1, &now_s, 1);
        assert_bytes(0, 30 * LARGE);
    }
    /* Within a period the peak counts, not the last request. */
    for (int i = 0; i < 20; i++) {
        get_and_give_at(30, 1, now_s);
        get_and_give_at(1, 1, now_s);
        now_s += ETV_BLOCKS_PERIOD_S;
        assert_bytes(0, 30 * LARGE);
    }
}
END_TEST

/* No request pays for all of it. */
START_TEST(surplus_goes_back_in_portions)
{
    const apr_size_t most = 64 * SMALL;
    apr_uint32_t now_s = 7;
    apr_size_t kept;

    begin(1000 * SMALL);
    get_and_give_at(1000, 0, now_s);
    now_s += ETV_BLOCKS_PERIOD_S;
    etv_blocks_give_at(get(0), now_s);
    now_s += ETV_BLOCKS_PERIOD_S;
    kept = etv_blocks_kept();
    while (kept > SMALL) {
        apr_size_t before = kept;

        etv_blocks_give_at(get(0), now_s);
        kept = etv_blocks_kept();
        ck_assert_uint_le(kept, before);
        ck_assert_uint_le(before - kept, most);
        now_s++;
    }
    assert_bytes(0, SMALL);
}
END_TEST

/* Work that comes back while the surplus is on its way out finds what is left of it. */
START_TEST(surplus_that_is_needed_again_stays)
{
    apr_uint32_t now_s = 7;
    apr_size_t left;

    begin(1000 * SMALL);
    get_and_give_at(500, 0, now_s);
    now_s += ETV_BLOCKS_PERIOD_S;
    etv_blocks_give_at(get(0), now_s);
    now_s += ETV_BLOCKS_PERIOD_S;
    etv_blocks_give_at(get(0), now_s);
    left = etv_blocks_kept();
    ck_assert_uint_lt(left, 500 * SMALL);
    get_and_give_at((int)(left / SMALL), 0, now_s);
    assert_bytes(0, left);
}
END_TEST

/* What went back in a period was not there to be spared: 30 were needed, and all 30 stay. */
START_TEST(surplus_is_counted_once)
{
    apr_uint32_t now_s = 7;

    begin(1000 * SMALL);
    get_and_give_at(1000, 0, now_s);
    work(1, 0, &now_s, 2);
    get_and_give_at(1, 0, now_s); /* this starts it */
    get_and_give_at(30, 0, now_s);
    assert_bytes(0, 30 * SMALL);
    now_s += ETV_BLOCKS_PERIOD_S;
    etv_blocks_give_at(get(0), now_s);
    assert_bytes(0, 30 * SMALL);
}
END_TEST

static unsigned next_random(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    return *state >> 16;
}

/* Both sizes, in any order, at any time: what is used and kept never exceeds the limit. */
START_TEST(never_above_the_limit)
{
    enum { MOST = 64 };
    void *held[MOST];
    apr_size_t sizes[MOST], used = 0, limit = 20 * LARGE + SMALL / 2;
    unsigned random = 1, refused = 0;
    apr_uint32_t now_s = 0;
    int count = 0;

    begin(limit);
    for (int i = 0; i < 20000; i++) {
        int growing = i / 500 % 2;

        if (next_random(&random) % 100 < (growing ? 60 : 40) && count < MOST) {
            int large = next_random(&random) % 3 != 0;
            apr_size_t size = large ? LARGE : SMALL, usable;
            void *block = etv_blocks_get(large, &usable);

            ck_assert_int_eq(block != NULL, used + size <= limit);
            refused += !block;
            if (block) {
                held[count] = block;
                sizes[count++] = size;
                used += size;
            }
        } else if (count) {
            int which = (int)(next_random(&random) % (unsigned)count);

            etv_blocks_give_at(held[which], now_s);
            used -= sizes[which];
            held[which] = held[--count];
            sizes[which] = sizes[count];
        }
        now_s += next_random(&random) % 50 == 0;
        ck_assert_uint_eq(etv_blocks_used(), used);
        ck_assert_uint_le(used + etv_blocks_kept(), limit);
    }
    ck_assert_uint_gt(refused, 0);
    while (count) {
        give(held[--count]);
    }
    ck_assert_uint_eq(etv_blocks_used(), 0);
}
END_TEST

/* --- threads --- */

enum { THREADS = 8, SHELF = 16, HELD = 6, ROUNDS = 4000 };

#define STRESS_LIMIT (16 * LARGE)

/* Blocks on their way from one thread to another. */
static _Atomic(unsigned char *) shelf[SHELF];
static atomic_int over_limit, overwritten;

/* The first, a middle and the last byte say whose the block is. */
static void mark(unsigned char *block, apr_size_t usable, unsigned char by)
{
    memcpy(block + 1, &usable, sizeof(usable));
    block[0] = block[usable / 2] = block[usable - 1] = by;
}

static void check_and_give(unsigned char *block)
{
    apr_size_t usable;

    memcpy(&usable, block + 1, sizeof(usable));
    if (block[0] != block[usable / 2] || block[0] != block[usable - 1]) {
        atomic_store(&overwritten, 1);
    }
    etv_blocks_give(block);
}

static void *stress(void *baton)
{
    unsigned char *held[HELD] = {NULL}, by = *(const unsigned char *)baton;
    unsigned random = by;

    for (int i = 0; i < ROUNDS; i++) {
        unsigned slot = next_random(&random) % HELD, what = next_random(&random) % 4;

        if (!held[slot]) {
            apr_size_t usable;

            held[slot] = etv_blocks_get(what != 0, &usable);
            if (held[slot]) {
                mark(held[slot], usable, by);
            }
        } else if (what == 0) {
            held[slot] = atomic_exchange(&shelf[next_random(&random) % SHELF], held[slot]);
        } else {
            check_and_give(held[slot]);
            held[slot] = NULL;
        }
        if (etv_blocks_used() > STRESS_LIMIT || etv_blocks_kept() > STRESS_LIMIT) {
            atomic_store(&over_limit, 1);
        }
    }
    for (int i = 0; i < HELD; i++) {
        if (held[i]) {
            check_and_give(held[i]);
        }
    }
    return NULL;
}

START_TEST(threads_share_the_limit)
{
    pthread_t threads[THREADS];
    unsigned char names[THREADS];

    begin(STRESS_LIMIT);
    for (int i = 0; i < THREADS; i++) {
        names[i] = (unsigned char)(i + 1);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, stress, &names[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    for (int i = 0; i < SHELF; i++) {
        unsigned char *block = atomic_exchange(&shelf[i], NULL);

        if (block) {
            check_and_give(block);
        }
    }
    ck_assert_int_eq(atomic_load(&over_limit), 0);
    ck_assert_int_eq(atomic_load(&overwritten), 0);
    ck_assert_uint_eq(etv_blocks_used(), 0);
    ck_assert_uint_le(etv_blocks_kept(), STRESS_LIMIT);
    begin(0);
}
END_TEST

int main(void)
{
    return etv_check_run(
        "blocks", (const TTest *[]){
                      none_before_a_limit_is_set, limit_is_exact, blocks_do_not_overlap,
                      what_was_given_back_is_used_again, kept_blocks_make_room_for_the_other_size,
                      lower_limit_takes_nothing_away, any_limit_is_safe, no_memory_is_not_counted,
                      surplus_goes_back, what_is_needed_stays, surplus_goes_back_in_portions,
                      surplus_that_is_needed_again_stays, surplus_is_counted_once,
                      never_above_the_limit, threads_share_the_limit, NULL});
}
