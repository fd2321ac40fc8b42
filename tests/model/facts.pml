/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of what is known of the server of an epoch (src/store/channel.c: etv_channel_set_facts,
 * etv_channel_get_facts; listen.c: facts_stand).
 *
 * Proves: a request that gets the facts of an epoch gets those that the leader of this epoch wrote,
 * whatever former leaders were frozen, or killed, in the middle of writing to the same slot; and
 * what a leader finds to stand is its own.
 *
 * Here               in the code
 *   slot_epoch, word[] etv_channel_slot_t.epoch, words (two stand for four)
 *   sum                .sum: SUM is what a hash without collisions would say
 *   writer(n)          the leader of an epoch that falls onto this slot: 8, 16, 24
 *   reader()           know_facts()
 *
 * Left out: epochs of other slots; facts that are equal, where a mix would do no harm.
 */
#ifndef WRITERS
#define WRITERS 3
#endif

c_decl {
    static const char *seen_names[] = {"facts", "facts refused", "former leader writes late",
        "written over and noticed", "stands", 0};
    \#include "seen.h"
}
#define SEEN(n) c_code { seen(n); }

#ifdef BROKEN_SUM_WITHOUT_EPOCH
#define SUM(epoch, a, b) (128 + (a) * 8 + (b))
#else
#define SUM(epoch, a, b) (128 + (epoch) * 64 + (a) * 8 + (b))
#endif

short slot_epoch, word[2], sum;
byte newest;   /* the epoch of who led last */
byte finished; /* bits: those who wrote all */

inline get(e, ok)
{
    a = word[0];
    b = word[1];
    ok = (slot_epoch == e);
#ifndef BROKEN_FACTS_UNVERIFIED
    ok = ok && sum == SUM(e, a, b);
#endif
}

/* Each begins when the one before may be anywhere, and may stop anywhere for good. */
proctype writer(byte e)
{
    byte a, b;
    bool ok;

    newest == e - 1;
    newest = e;
    slot_epoch = e;
    word[0] = e;
    word[1] = e;
    d_step {
        sum = SUM(e, e, e);
        finished = finished | (1 << e);
        if
        :: newest > e -> SEEN(2)
        :: else
        fi
    }
    if /* facts_stand(), in a later round */
    :: newest == e ->
        get(e, ok);
        if
        :: atomic { ok -> assert(a == e && b == e); SEEN(4) }
        :: atomic { !ok -> SEEN(3) }
        fi
    :: true
    fi
}

/* Of an epoch that was published: its leader had finished. */
proctype reader()
{
    short a, b;
    byte e;
    bool ok;

    if
    :: e = 1
    :: e = 2
    :: WRITERS > 2 -> e = 3
    fi;
    finished & (1 << e);
    get(e, ok);
    if
    :: atomic { ok -> SEEN(0); assert(a == e && b == e) }
    :: atomic { !ok -> SEEN(1) }
    fi
}

init
{
    byte n = 1;

    atomic {
        do
        :: n <= WRITERS -> run writer(n); n++
        :: else -> break
        od;
        run reader()
    }
}
