/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Seats in shared memory, for what all processes of this host together may have only so many of.
 * Each has the id of the process that took it, so that those of a process that died are free again.
 * No locks.
 */
#ifndef ETV_STORE_SEATS_H
#define ETV_STORE_SEATS_H

#include <apr.h>

typedef struct etv_seats_t etv_seats_t;

/** Seats there are. */
#define ETV_SEATS_MOST 10000

apr_size_t etv_seats_bytes(void);

/** Lay them out in zeroed memory that is aligned to 64 bytes, before the first fork. */
etv_seats_t *etv_seats_init(void *memory);

/** A seat that was taken; zeroed: none. */
typedef struct {
    int number; /**< from 1 */
    apr_uint64_t claimed;
} etv_seat_t;

/**
 * Take a seat.
 * @param most  how many there may be: only so many are looked at; at most ETV_SEATS_MOST
 * @param seat  out: for etv_seats_leave, by the same process
 * @return 0 when all are taken
 */
int etv_seats_take(etv_seats_t *seats, int most, etv_seat_t *seat);

/** Give it back. Nothing when it is none. */
void etv_seats_leave(etv_seats_t *seats, etv_seat_t *seat);

#endif
