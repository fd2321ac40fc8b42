/* SPDX-License-Identifier: Apache-2.0 */
#include "store/seats.h"

#include "store/slot_state.h"

struct etv_seats_t {
    _Atomic apr_uint64_t states[ETV_SEATS_MOST]; /* store/slot_state.h: empty or busy */
};

apr_size_t etv_seats_bytes(void)
{
    return sizeof(etv_seats_t);
}

etv_seats_t *etv_seats_init(void *memory)
{
    return memory;
}

/* To ask for a process costs a system call, so it is only done where no seat is empty. */
static int take(etv_seats_t *seats, int most, etv_seat_t *seat, int ask)
{
    for (int i = 0; i < most; i++) {
        apr_uint64_t seen = atomic_load(&seats->states[i]);

        if ((etv_slot_of(seen) == ETV_SLOT_EMPTY || (ask && etv_slot_is_abandoned(seen))) &&
            etv_slot_claim(&seats->states[i], seen, &seat->claimed)) {
            seat->number = i + 1;
            return 1;
        }
    }
    return 0;
}

int etv_seats_take(etv_seats_t *seats, int most, etv_seat_t *seat)
{
    if (most > ETV_SEATS_MOST)
        most = ETV_SEATS_MOST;
    seat->number = 0;
    return take(seats, most, seat, 0) || take(seats, most, seat, 1);
}

void etv_seats_leave(etv_seats_t *seats, etv_seat_t *seat)
{
    if (seat->number)
        etv_slot_release(&seats->states[seat->number - 1], seat->claimed);
    seat->number = 0;
}
