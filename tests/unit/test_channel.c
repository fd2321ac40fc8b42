/* SPDX-License-Identifier: Apache-2.0 */
/* The words by which children agree: no lease is longer than it was given, nobody leads beside
 * another, and what was known of a server is never that of another epoch. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "etv_check.h"
#include "mirror_fixture.h"

#include "store/channel.h"

#define WRAP     ((apr_uint32_t)1 << 24)
#define MS(n)    ((apr_time_t)(n) * 1000)
#define YEARS(n) (apr_time_from_sec(31557600) * (n))
#define THREADS  4

static etv_channel_t *channel(void)
{
    return etv_make_channel(etv_make_mirror(16));
}

static apr_uint32_t raised(etv_channel_t *ch)
{
    int wrapped = -1;
    apr_uint32_t epoch = etv_channel_raise(ch, &wrapped);

    ck_assert_int_eq(wrapped, epoch % (WRAP / 2) == 0);
    return epoch;
}

/* --- the lease --- */

START_TEST(a_lease_is_never_longer_than_it_was_given)
{
    static const apr_time_t starts[] = {
        0,        1,         999,       1000,      1001,           MS(12345),
        YEARS(1), YEARS(10), YEARS(30), YEARS(34), YEARS(34) + 777};
    etv_channel_t *ch = channel();
    apr_uint32_t epoch = raised(ch);

    ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), 0), 0);
    for (size_t i = 0; i < ETV_ROWS(starts); i++) {
        for (apr_time_t more = 0; more < 2500; more += 499) {
            apr_time_t until = starts[i] + more;
            apr_uint64_t lease;

            ck_assert_int_eq(etv_channel_publish(ch, epoch, until), 1);
            lease = etv_channel_lease(ch);
            ck_assert_uint_eq(etv_channel_epoch_of(lease), epoch);
            ck_assert_int_eq(etv_channel_holds(lease, until), 0);
            ck_assert_int_eq(etv_channel_holds(lease, until + 1), 0);
            ck_assert_int_eq(etv_channel_holds(lease, until - until % 1000), 0);
            if (until >= 1000)
                ck_assert_int_eq(etv_channel_holds(lease, until - until % 1000 - 1), 1);
        }
    }
}
END_TEST

START_TEST(a_time_before_the_start_is_no_lease)
{
    etv_channel_t *ch = channel();
    apr_uint32_t epoch = raised(ch);

    ck_assert_int_eq(etv_channel_publish(ch, epoch, -1), 1);
    ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), 0), 0);
}
END_TEST

START_TEST(a_raise_ends_what_was_published)
{
    etv_channel_t *ch = channel();
    apr_uint32_t first = raised(ch);
    apr_uint32_t second;

    ck_assert_int_eq(etv_channel_publish(ch, first, MS(1000)), 1);
    ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), MS(999)), 1);
    second = raised(ch);
    ck_assert_uint_eq(second, first + 1);
    ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), 0), 0);
    ck_assert_int_eq(etv_channel_publish(ch, first, MS(2000)), 0);
    ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), 0), 0);
    ck_assert_int_eq(etv_channel_publish(ch, second, MS(2000)), 1);
    ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), MS(1999)), 1);
    ck_assert_int_eq(etv_channel_publish(ch, second, MS(1500)), 1); /* shorter again */
    ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), MS(1500)), 0);
}
END_TEST

START_TEST(epochs_begin_to_repeat_with_a_warning)
{
    etv_channel_t *ch = channel();
    etv_channel_facts_t facts = {{1}, {2}}, seen;
    apr_uint32_t epoch;

    atomic_store(&ch->lease, ((apr_uint64_t)(WRAP - 2) << 40) | 5);
    epoch = raised(ch);
    ck_assert_uint_eq(epoch, WRAP - 1);
    etv_channel_set_facts(ch, epoch, &facts);
    ck_assert_int_eq(etv_channel_publish(ch, epoch, YEARS(34)), 1);
    ck_assert_uint_eq(etv_channel_epoch_of(etv_channel_lease(ch)), WRAP - 1);
    epoch = raised(ch); /* asserts the warning */
    ck_assert_uint_eq(epoch, 0);
    ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), 0), 0);
    ck_assert_int_eq(etv_channel_publish(ch, WRAP - 1, MS(5)), 0);
    ck_assert_int_eq(etv_channel_publish(ch, 0, MS(5)), 1);
    ck_assert_int_eq(etv_channel_get_facts(ch, 0, &seen), 0);
    ck_assert_uint_eq(raised(ch), 1);
    atomic_store(&ch->lease, (apr_uint64_t)(WRAP / 2 - 2) << 40);
    for (int i = 0; i < 4; i++) /* and once more on the way, at half of them */
        ck_assert_uint_eq(raised(ch), WRAP / 2 - 1 + (apr_uint32_t)i);
}
END_TEST

START_TEST(only_the_present_epoch_can_be_refuted)
{
    static const apr_uint32_t last[] = {1, 5, WRAP / 2 - 1, WRAP - 1};

    for (size_t i = 0; i < ETV_ROWS(last); i++) {
        etv_channel_t *ch = channel();
        int wrapped = -1;

        atomic_store(&ch->lease, (apr_uint64_t)last[i] << 40);
        ck_assert_int_eq(etv_channel_publish(ch, last[i], MS(1000)), 1);
        ck_assert_int_eq(etv_channel_refute(ch, last[i] - 1, &wrapped), 0);
        ck_assert_int_eq(wrapped, 0);
        ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), 0), 1);
        ck_assert_int_eq(etv_channel_refute(ch, last[i], &wrapped), 1);
        ck_assert_int_eq(wrapped, i > 1);
        ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), 0), 0);
        ck_assert_uint_eq(etv_channel_epoch_of(etv_channel_lease(ch)), (last[i] + 1) % WRAP);
        ck_assert_int_eq(etv_channel_refute(ch, last[i], &wrapped), 0);
        ck_assert_int_eq(etv_channel_publish(ch, last[i], MS(1000)), 0);
    }
}
END_TEST

/* --- races for the lease --- */

typedef struct {
    etv_channel_t *ch;
    int rounds;
    atomic_int raises;
    atomic_int wrong;
} race_t;

/* Publishes what only holds in its own epoch: the time says which one. */
static void *publish_own(void *baton)
{
    race_t *race = baton;

    for (int i = 0; i < race->rounds; i++) {
        int wrapped;
        apr_uint32_t epoch = etv_channel_raise(race->ch, &wrapped);

        atomic_fetch_add(&race->raises, 1);
        for (int k = 0; k < 3; k++)
            etv_channel_publish(race->ch, epoch, MS(1000) * ((apr_time_t)epoch + 1));
    }
    return NULL;
}

static void *watch(void *baton)
{
    race_t *race = baton;

    for (int i = 0; i < race->rounds * 10; i++) {
        apr_uint64_t lease = etv_channel_lease(race->ch);
        apr_time_t until = MS(1000) * ((apr_time_t)etv_channel_epoch_of(lease) + 1);

        if (etv_channel_holds(lease, 0) &&
            (!etv_channel_holds(lease, until - 1) || etv_channel_holds(lease, until)))
            atomic_fetch_add(&race->wrong, 1);
    }
    return NULL;
}

START_TEST(a_lease_belongs_to_its_epoch)
{
    race_t race = {.ch = channel(), .rounds = etv_some(50000)};
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, i ? publish_own : watch, &race), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&race.wrong), 0);
    /* No two raises were one. */
    ck_assert_uint_eq(etv_channel_epoch_of(etv_channel_lease(race.ch)),
                      (apr_uint32_t)atomic_load(&race.raises));
}
END_TEST

/* --- facts --- */

static etv_channel_facts_t facts_of(apr_uint32_t epoch, unsigned salt)
{
    etv_channel_facts_t facts;

    for (unsigned i = 0; i < sizeof(facts.instance); i++) {
        facts.instance[i] = (unsigned char)(epoch * 31 + i + salt);
        facts.secret[i] = (unsigned char)(epoch * 17 + 3 * i + salt);
    }
    return facts;
}

static int knows(const etv_channel_t *ch, apr_uint32_t epoch, unsigned salt)
{
    etv_channel_facts_t seen, wanted = facts_of(epoch, salt);

    return etv_channel_get_facts(ch, epoch, &seen) && !memcmp(&seen, &wanted, sizeof(seen));
}

START_TEST(facts_are_those_of_their_epoch)
{
    etv_channel_t *ch = channel();
    etv_channel_facts_t seen;

    for (apr_uint32_t epoch = 0; epoch < 16; epoch++)
        ck_assert_int_eq(etv_channel_get_facts(ch, epoch, &seen), 0);
    for (apr_uint32_t epoch = 1; epoch < 40; epoch++) {
        etv_channel_facts_t facts = facts_of(epoch, 0);

        etv_channel_set_facts(ch, epoch, &facts);
        for (apr_uint32_t old = 0; old < 50; old++)
            ck_assert_int_eq(knows(ch, old, 0),
                             old && old <= epoch && old + ETV_CHANNEL_FACTS > epoch);
    }
}
END_TEST

/* A leader is stopped within its writing, and goes on when the slot belongs to another epoch: after
 * each possible number of its words, in a slot that is written by `epoch`. */
START_TEST(a_late_writer_is_noticed)
{
    for (int from = 0; from <= ETV_CHANNEL_FACTS_WORDS + 1; from++) {
        etv_channel_t *old_ch = channel(), *ch = channel();
        etv_channel_slot_t *slot = &ch->facts[3];
        const etv_channel_slot_t *old = &old_ch->facts[3];
        etv_channel_facts_t seen, late = facts_of(3, 0), facts = facts_of(11, 9);

        etv_channel_set_facts(old_ch, 3, &late);
        etv_channel_set_facts(ch, 11, &facts);
        ck_assert_int_eq(knows(ch, 11, 9), 1);
        if (from == 0)
            atomic_store(&slot->epoch, 3);
        for (int i = from ? from - 1 : 0; i < ETV_CHANNEL_FACTS_WORDS; i++) {
            atomic_store(&slot->words[i], atomic_load(&old->words[i]));
            ck_assert_int_eq(etv_channel_get_facts(ch, 11, &seen), 0);
            ck_assert_int_eq(etv_channel_get_facts(ch, 3, &seen), 0);
        }
        atomic_store(&slot->sum, atomic_load(&old->sum));
        ck_assert_int_eq(etv_channel_get_facts(ch, 11, &seen), 0);
        if (from)
            ck_assert_int_eq(etv_channel_get_facts(ch, 3, &seen), 0);
        etv_channel_set_facts(ch, 11, &facts); /* as its leader does when it notices */
        ck_assert_int_eq(knows(ch, 11, 9), 1);
    }
}
END_TEST

static void *write_facts(void *baton)
{
    race_t *race = baton;

    for (int i = 0; i < race->rounds; i++) {
        int wrapped;
        apr_uint32_t epoch = etv_channel_raise(race->ch, &wrapped);
        etv_channel_facts_t facts = facts_of(epoch, 0);

        etv_channel_set_facts(race->ch, epoch, &facts);
    }
    return NULL;
}

static void *read_facts(void *baton)
{
    race_t *race = baton;

    for (int i = 0; i < race->rounds * 3; i++) {
        apr_uint32_t epoch = etv_channel_epoch_of(etv_channel_lease(race->ch));
        etv_channel_facts_t seen, wanted = facts_of(epoch, 0);

        if (etv_channel_get_facts(race->ch, epoch, &seen) && memcmp(&seen, &wanted, sizeof(seen)))
            atomic_fetch_add(&race->wrong, 1);
    }
    return NULL;
}

START_TEST(facts_are_whole_or_unknown)
{
    race_t race = {.ch = channel(), .rounds = etv_some(30000)};
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, i % 2 ? write_facts : read_facts, &race),
                         0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&race.wrong), 0);
}
END_TEST

/* --- the leader --- */

START_TEST(one_leads_until_it_is_late)
{
    etv_channel_t *ch = channel();
    apr_uint32_t a = etv_channel_owner(ch), b = etv_channel_owner(ch);
    apr_time_t now = YEARS(10) + 345;

    ck_assert_uint_ne(a, b);
    ck_assert_int_eq(etv_channel_leader_until(ch), 0);
    ck_assert_int_eq(etv_channel_lead(ch, a, now), ETV_CHANNEL_TAKES);
    ck_assert_int_le(etv_channel_leader_until(ch), now + ETV_CHANNEL_LEADS_US);
    ck_assert_int_gt(etv_channel_leader_until(ch), now + ETV_CHANNEL_LEADS_US - 1000);
    ck_assert_int_eq(etv_channel_lead(ch, b, now), ETV_CHANNEL_FOLLOWS);
    ck_assert_int_eq(etv_channel_lead(ch, a, now + MS(200)), ETV_CHANNEL_LEADS);
    ck_assert_int_eq(etv_channel_lead(ch, b, now + MS(499)), ETV_CHANNEL_FOLLOWS);
    ck_assert_int_eq(etv_channel_lead(ch, b, now + MS(500)), ETV_CHANNEL_TAKES);
    ck_assert_int_eq(etv_channel_lead(ch, a, now + MS(500)), ETV_CHANNEL_FOLLOWS);
    /* Nobody came while it was late. */
    ck_assert_int_eq(etv_channel_lead(ch, b, now + MS(5000)), ETV_CHANNEL_LEADS);
}
END_TEST

START_TEST(who_resigns_leaves_nothing_behind)
{
    etv_channel_t *ch = channel();
    apr_uint32_t a = etv_channel_owner(ch), b = etv_channel_owner(ch);
    apr_uint32_t epoch = raised(ch), seen = etv_channel_handover(ch);
    int wrapped = -1;

    ck_assert_int_eq(etv_channel_lead(ch, a, MS(1)), ETV_CHANNEL_TAKES);
    ck_assert_int_eq(etv_channel_publish(ch, epoch, MS(1000)), 1);
    etv_channel_resign(ch, b, &wrapped); /* not its to leave */
    ck_assert_int_eq(wrapped, 0);
    ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), MS(2)), 1);
    ck_assert_uint_eq(etv_channel_handover(ch), seen);
    etv_channel_resign(ch, a, &wrapped);
    ck_assert_int_eq(wrapped, 0);
    ck_assert_int_eq(etv_channel_holds(etv_channel_lease(ch), 0), 0);
    ck_assert_int_eq(etv_channel_publish(ch, epoch, MS(1000)), 0);
    ck_assert_uint_ne(etv_channel_handover(ch), seen);
    ck_assert_int_eq(etv_channel_leader_until(ch), 0);
    ck_assert_int_eq(etv_channel_lead(ch, b, MS(1)), ETV_CHANNEL_TAKES);
    etv_channel_resign(ch, a, &wrapped); /* twice */
    ck_assert_int_eq(etv_channel_lead(ch, b, MS(2)), ETV_CHANNEL_LEADS);

    atomic_store(&ch->lease, (apr_uint64_t)(WRAP - 1) << 40);
    etv_channel_resign(ch, b, &wrapped);
    ck_assert_int_eq(wrapped, 1);
}
END_TEST

START_TEST(owners_are_never_nobody)
{
    etv_channel_t *ch = channel();

    atomic_store(&ch->owners, WRAP - 2);
    ck_assert_uint_eq(etv_channel_owner(ch), WRAP - 1);
    ck_assert_uint_eq(etv_channel_owner(ch), 1);
    atomic_store(&ch->owners, UINT32_MAX);
    ck_assert_uint_eq(etv_channel_owner(ch), 1);
}
END_TEST

typedef struct {
    etv_channel_t *ch;
    atomic_int inside; /* how many have just taken the lead and hold it */
    atomic_int taken;
    atomic_int wrong;
    atomic_int done;
} contest_t;

/* The clock stands still, so nobody is ever late, and two at once are one too many. */
static void *contend(void *baton)
{
    contest_t *contest = baton;
    apr_uint32_t owner = etv_channel_owner(contest->ch);

    while (!atomic_load(&contest->done)) {
        int wrapped;

        if (etv_channel_lead(contest->ch, owner, MS(1)) != ETV_CHANNEL_TAKES) {
            sched_yield();
            continue;
        }
        if (atomic_fetch_add(&contest->inside, 1))
            atomic_fetch_add(&contest->wrong, 1);
        atomic_fetch_add(&contest->taken, 1);
        if (etv_channel_lead(contest->ch, owner, MS(1)) != ETV_CHANNEL_LEADS)
            atomic_fetch_add(&contest->wrong, 1);
        atomic_fetch_sub(&contest->inside, 1);
        etv_channel_resign(contest->ch, owner, &wrapped);
    }
    return NULL;
}

START_TEST(no_two_lead_at_once)
{
    contest_t contest = {.ch = channel()};
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, contend, &contest), 0);
    while (atomic_load(&contest.taken) < etv_some(20000))
        usleep(1000);
    atomic_store(&contest.done, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&contest.wrong), 0);
}
END_TEST

/* --- the handover --- */

#define FOREVER apr_time_from_sec(600)

START_TEST(who_slept_too_late_does_not_sleep)
{
    etv_channel_t *ch = channel();
    apr_uint32_t seen = etv_channel_handover(ch);

    etv_channel_wake(ch);
    etv_channel_await(ch, seen, FOREVER);
    seen = etv_channel_handover(ch);
    etv_channel_await(ch, seen, 0);
    etv_channel_await(ch, seen, -FOREVER);
    etv_channel_await(ch, seen, 1000); /* nobody wakes it */
}
END_TEST

/* Other processes: they sleep for ever unless they are woken, or it is too late for it. */
START_TEST(followers_in_other_processes_wake_up)
{
    etv_channel_t *ch = channel();
    apr_uint32_t owner = etv_channel_owner(ch), seen = etv_channel_handover(ch);
    pid_t children[THREADS];
    int wrapped;

    ck_assert_int_eq(etv_channel_lead(ch, owner, etv_boottime_us()), ETV_CHANNEL_TAKES);
    for (int i = 0; i < THREADS; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (!children[i]) {
            while (etv_channel_handover(ch) == seen)
                etv_channel_await(ch, seen, FOREVER);
            _exit(0);
        }
    }
    etv_channel_resign(ch, owner, &wrapped);
    for (int i = 0; i < THREADS; i++) {
        int status;

        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
}
END_TEST

int main(void)
{
    return etv_check_run(
        "channel",
        (const TTest *[]){
            a_lease_is_never_longer_than_it_was_given, a_time_before_the_start_is_no_lease,
            a_raise_ends_what_was_published, epochs_begin_to_repeat_with_a_warning,
            only_the_present_epoch_can_be_refuted, a_lease_belongs_to_its_epoch,
            facts_are_those_of_their_epoch, a_late_writer_is_noticed, facts_are_whole_or_unknown,
            one_leads_until_it_is_late, who_resigns_leaves_nothing_behind, owners_are_never_nobody,
            no_two_lead_at_once, who_slept_too_late_does_not_sleep,
            followers_in_other_processes_wake_up, NULL});
}
