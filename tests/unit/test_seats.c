/* SPDX-License-Identifier: Apache-2.0 */
/* Seats: never more than there may be, and those of processes that are gone are free again. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "etv_check.h"
#include "mirror_fixture.h"
#include "store/seats.h"

#define WORKERS 8
#define MOST    3

static etv_seats_t *make(apr_size_t more, void **rest)
{
    char *memory = mmap(NULL, etv_seats_bytes() + more, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    if (rest)
        *rest = memory + etv_seats_bytes();
    return etv_seats_init(memory);
}

START_TEST(as_many_as_there_may_be)
{
    etv_seats_t *seats = make(0, NULL);
    etv_seat_t taken[MOST], more;

    ck_assert(!etv_seats_take(seats, 0, &more));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MOST; i++)
            ck_assert(etv_seats_take(seats, MOST, &taken[i]));
        ck_assert(!etv_seats_take(seats, MOST, &more));
        etv_seats_leave(seats, &more); /* is none */
        ck_assert(!etv_seats_take(seats, MOST, &more));
        etv_seats_leave(seats, &taken[1]);
        etv_seats_leave(seats, &taken[1]); /* once only */
        ck_assert(etv_seats_take(seats, MOST, &taken[1]));
        ck_assert(!etv_seats_take(seats, MOST, &more));
        for (int i = 0; i < MOST; i++)
            etv_seats_leave(seats, &taken[i]);
    }
}
END_TEST

START_TEST(all_of_them)
{
    etv_seats_t *seats = make(0, NULL);
    etv_seat_t seat;

    for (int i = 0; i < ETV_SEATS_MOST; i++)
        ck_assert(etv_seats_take(seats, i + 1, &seat));
    ck_assert(!etv_seats_take(seats, 2 * ETV_SEATS_MOST, &seat));
}
END_TEST

START_TEST(processes_that_are_gone)
{
    etv_seats_t *seats = make(0, NULL);
    etv_seat_t seat, old = {0, 0};
    int told[2], status;
    char byte;
    pid_t child;

    ck_assert_int_eq(pipe(told), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        while (etv_seats_take(seats, MOST, &seat))
            continue;
        status = (int)write(told[1], "x", 1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    ck_assert(!etv_seats_take(seats, MOST, &seat));
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(etv_seats_take(seats, MOST, &seat));
    /* who takes over a seat does not lose it to who had it before */
    old.number = seat.number;
    old.claimed = seat.claimed - 1;
    etv_seats_leave(seats, &old);
    for (int i = 1; i < MOST; i++)
        ck_assert(etv_seats_take(seats, MOST, &old));
    ck_assert(!etv_seats_take(seats, MOST, &old));
    close(told[0]);
    close(told[1]);
}
END_TEST

/* @return 0 when there were ever more than MOST */
static int sit_down_often(etv_seats_t *seats, _Atomic int *sitting)
{
    int right = 1, n = etv_some(20000);

    for (int i = 0; i < n; i++) {
        etv_seat_t seat;

        if (!etv_seats_take(seats, MOST, &seat))
            continue;
        right &= atomic_fetch_add(sitting, 1) < MOST;
        atomic_fetch_sub(sitting, 1);
        etv_seats_leave(seats, &seat);
    }
    return right;
}

START_TEST(many_processes)
{
    void *rest;
    etv_seats_t *seats = make(sizeof(int), &rest);
    pid_t children[WORKERS];
    etv_seat_t seat;

    for (int i = 0; i < WORKERS; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (!children[i])
            _exit(sit_down_often(seats, rest) ? 0 : 1);
    }
    for (int i = 0; i < WORKERS; i++) {
        int status = -1;

        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    for (int i = 0; i < MOST; i++)
        ck_assert(etv_seats_take(seats, MOST, &seat));
}
END_TEST

int main(void)
{
    return etv_check_run("seats", (const TTest *[]){as_many_as_there_may_be, all_of_them,
                                                    processes_that_are_gone, many_processes, NULL});
}
