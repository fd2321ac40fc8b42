/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: what is found is what was put, whole; what was used longest ago makes room; who
 * dies while it writes holds up nobody. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "etv_check.h"
#include "mirror_fixture.h"
#include "store/registry.h"

#define ONE_SET 8
#define STEP_US 2000 /* more than what is marked as the same time */

static etv_registry_t *make(int texts)
{
    apr_size_t bytes = etv_registry_bytes(texts);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    return etv_registry_init(memory, texts);
}

/* Ids are digests. */
static void id_of(unsigned n, unsigned char id[ETV_REGISTRY_ID_BYTES])
{
    etv_hash_digest(id, ETV_REGISTRY_ID_BYTES, &n, sizeof(n));
}

/* A text that tells its number in every byte. */
static void text_of(unsigned n, apr_size_t len, char *text)
{
    for (apr_size_t i = 0; i < len; i++)
        text[i] = (char)((n * 131 + i * (n % 7 + 1)) & 0xff);
}

static void put(etv_registry_t *registry, unsigned n, apr_size_t len, apr_time_t now_us)
{
    unsigned char id[ETV_REGISTRY_ID_BYTES];
    char text[ETV_REGISTRY_TEXT_MOST];

    id_of(n, id);
    text_of(n, len, text);
    etv_registry_add(registry, ETV_REGISTRY_MODELS, id, now_us, text, len);
}

/* @return the length of what was found, which must be right; 0 */
static apr_size_t get(etv_registry_t *registry, unsigned n, apr_time_t now_us)
{
    unsigned char id[ETV_REGISTRY_ID_BYTES];
    char text[ETV_REGISTRY_TEXT_MOST + 8], expected[ETV_REGISTRY_TEXT_MOST];
    apr_size_t len;

    id_of(n, id);
    memset(text, 'x', sizeof(text));
    len = etv_registry_find(registry, ETV_REGISTRY_MODELS, id, now_us, text);
    text_of(n, len, expected);
    ck_assert_int_eq(memcmp(text, expected, len), 0);
    ck_assert_int_eq(memcmp(text + ETV_REGISTRY_TEXT_MOST, "xxxxxxxx", 8), 0);
    return len;
}

START_TEST(texts_of_all_lengths_are_found)
{
    static const apr_size_t lens[] = {1, 7, 8, 9, 255, 256, 4600, 4607, ETV_REGISTRY_TEXT_MOST};
    etv_registry_t *registry = make(64);

    for (unsigned i = 0; i < ETV_ROWS(lens); i++) {
        ck_assert_uint_eq(get(registry, i, 0), 0);
        put(registry, i, lens[i], 0);
        ck_assert_uint_eq(get(registry, i, 0), lens[i]);
    }
}
END_TEST

START_TEST(texts_that_do_not_fit_are_not_kept)
{
    etv_registry_t *registry = make(ONE_SET);
    unsigned char id[ETV_REGISTRY_ID_BYTES];
    char text[ETV_REGISTRY_TEXT_MOST + 1] = "a";

    id_of(1, id);
    etv_registry_add(registry, ETV_REGISTRY_MODELS, id, 0, text, 0);
    etv_registry_add(registry, ETV_REGISTRY_MODELS, id, 0, text, sizeof(text));
    ck_assert_uint_eq(etv_registry_find(registry, ETV_REGISTRY_MODELS, id, 0, text), 0);
}
END_TEST

START_TEST(kinds_are_told_apart)
{
    etv_registry_t *registry = make(ONE_SET);
    unsigned char id[ETV_REGISTRY_ID_BYTES];
    char text[ETV_REGISTRY_TEXT_MOST];

    id_of(1, id);
    etv_registry_add(registry, ETV_REGISTRY_FIELDS, id, 0, "fields", 6);
    ck_assert_uint_eq(etv_registry_find(registry, ETV_REGISTRY_MODELS, id, 0, text), 0);
    etv_registry_add(registry, ETV_REGISTRY_MODELS, id, 0, "model", 5);
    ck_assert_uint_eq(etv_registry_find(registry, ETV_REGISTRY_MODELS, id, 0, text), 5);
    ck_assert_int_eq(memcmp(text, "model", 5), 0);
    ck_assert_uint_eq(etv_registry_find(registry, ETV_REGISTRY_FIELDS, id, 0, text), 6);
    ck_assert_int_eq(memcmp(text, "fields", 6), 0);
}
END_TEST

START_TEST(another_text_takes_the_place)
{
    etv_registry_t *registry = make(ONE_SET);
    unsigned char id[ETV_REGISTRY_ID_BYTES];
    char text[ETV_REGISTRY_TEXT_MOST];

    id_of(1, id);
    etv_registry_add(registry, ETV_REGISTRY_MODELS, id, 0, "before", 6);
    etv_registry_add(registry, ETV_REGISTRY_MODELS, id, 0, "after", 5);
    ck_assert_uint_eq(etv_registry_find(registry, ETV_REGISTRY_MODELS, id, 0, text), 5);
    ck_assert_int_eq(memcmp(text, "after", 5), 0);
}
END_TEST

START_TEST(what_was_used_longest_ago_goes)
{
    etv_registry_t *registry = make(ONE_SET);
    apr_time_t now = STEP_US;

    for (unsigned i = 0; i < ONE_SET; i++, now += STEP_US)
        put(registry, i, 100, now);
    for (unsigned i = 0; i < ONE_SET; i++, now += STEP_US) {
        if (i == 2)
            put(registry, i, 100, now); /* again: counts as used */
        else if (i != 5)
            ck_assert_uint_eq(get(registry, i, now), 100);
    }
    put(registry, 100, 50, now);
    for (unsigned i = 0; i < ONE_SET; i++)
        ck_assert_uint_eq(get(registry, i, now), i == 5 ? 0 : 100);
    ck_assert_uint_eq(get(registry, 100, now), 50);
}
END_TEST

START_TEST(there_is_room_for_as_many_as_were_asked_for)
{
    int n = 1000, found = 0;
    etv_registry_t *registry = make(n);

    for (int i = 0; i < n / 2; i++)
        put(registry, (unsigned)i, 30, i * STEP_US);
    for (int i = 0; i < n / 2; i++)
        found += get(registry, (unsigned)i, n * STEP_US) == 30;
    ck_assert_int_ge(found, n / 2 - n / 20); /* few sets overflow when half are used */
}
END_TEST

/* --- many at once --- */

#define TEXTS 24 /* three for each slot of the one set that they fight for */

static apr_size_t len_of(unsigned n)
{
    return 1 + n * 997 % ETV_REGISTRY_TEXT_MOST;
}

static void write_some(etv_registry_t *registry, unsigned seed, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        unsigned n = (unsigned)(seed + (unsigned)i * 7) % TEXTS;

        put(registry, n, len_of(n), (apr_time_t)i * STEP_US);
    }
}

static atomic_int done;

static void *write_until_done(void *registry)
{
    for (unsigned seed = 0; !atomic_load(&done); seed++)
        write_some(registry, seed, 20);
    return NULL;
}

START_TEST(nothing_is_found_in_part)
{
    etv_registry_t *registry = make(ONE_SET);
    pthread_t writers[3];
    int found = 0;

    atomic_store(&done, 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&writers[i], NULL, write_until_done, registry), 0);
    for (int i = 0, enough = etv_some(20000); found < enough; i++) {
        unsigned n = (unsigned)i % TEXTS;
        apr_size_t len = get(registry, n, (apr_time_t)i * STEP_US);

        ck_assert(len == 0 || len == len_of(n));
        found += len != 0;
    }
    atomic_store(&done, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(writers[i], NULL);
}
END_TEST

START_TEST(writers_that_die_hold_up_nobody)
{
    etv_registry_t *registry = make(ONE_SET);

    for (int i = 0, rounds = etv_some(100); i < rounds; i++) {
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (!child) {
            for (unsigned seed = (unsigned)i;; seed++)
                write_some(registry, seed, 100);
        }
        usleep((useconds_t)(500 + i * 37 % 1000)); /* anywhere in the middle of a write */
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
    }
    for (unsigned n = 0; n < ONE_SET; n++) { /* each slot can be had */
        apr_time_t now = APR_USEC_PER_SEC * 1000 + n * STEP_US;

        put(registry, 1000 + n, 77, now);
        ck_assert_uint_eq(get(registry, 1000 + n, now), 77);
    }
    for (unsigned n = 0; n < ONE_SET; n++)
        ck_assert_uint_eq(get(registry, 1000 + n, APR_USEC_PER_SEC * 2000), 77);
}
END_TEST

int main(void)
{
    return etv_check_run(
        "registry", (const TTest *[]){
                        texts_of_all_lengths_are_found, texts_that_do_not_fit_are_not_kept,
                        kinds_are_told_apart, another_text_takes_the_place,
                        what_was_used_longest_ago_goes, there_is_room_for_as_many_as_were_asked_for,
                        nothing_is_found_in_part, writers_that_die_hold_up_nobody, NULL});
}
