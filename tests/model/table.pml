/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries and generations of the shared table (src/store/mirror.c), word by word.
 *
 * Proves: a request that arrives when the invalidation of a change was applied, or a bump of this
 * host reported as done, never finds an older token; never one of another key, nor one put
 * together from two; whatever process is killed or sleeps anywhere. And a killed writer keeps no slot.
 *
 * Here                 in the code
 *   state[], STATE      entry_t.state: version, pid, busy or live
 *   key[] what[] gen[]  entry_t.key_lo/hi, what (the epoch in it), generation
 *   lo[] hi[]           entry_t.token: two words stand for any number
 *   generation[]        etv_mirror_t.words, one bucket per key
 *   lease_epoch/holds   etv_channel_t.lease, one word: read in one step
 *   request()           leased.c: ask(), etv_mirror_install()
 *   lookup()            leased.c: find_all(), etv_mirror_find()
 *   bump()              etv_leased_bump()
 *   listener()          push.c: hear_message(), and begin_epoch() of listen.c
 *
 * Left out: time and leases (lease.pml), what slot is the cheapest (any may be taken here), wrapping
 * of versions. Every line between two steps is a place where others run, or where a request is killed.
 * Tokens are numbers that grow; the code compares for equality only.
 */
#ifndef KEYS
#define KEYS 2
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef REFILLS
#define REFILLS 1
#endif
#ifndef CHANGES
#define CHANGES 1
#endif
#ifndef FLUSHES
#define FLUSHES 1
#endif
#ifndef BUMPS
#define BUMPS 1
#endif

c_decl {
    static const char *seen_names[] = {"hit", "hit of a second version", "hit after a flush",
        "entry in motion refused", "entry of an old epoch refused", "outdated entry refused",
        "slot of a dead writer taken", "claim lost", "bump done", 0};
    \#include "seen.h"
}
#define SEEN(n) c_code { seen(n); }

#define EMPTY 0
#define BUSY  1
#define LIVE  2
#define STATE(version, pid, kind) ((version) * 16 + (pid) * 4 + (kind))
#define KIND(s)    ((s) % 4)
#define PID(s)     (((s) / 4) % 4)
#define VERSION(s) ((s) / 16)

/* A token of a key, recognisable as such. */
#define TOKEN(k, n) ((k) * 16 + (n))

#define NIL 9

byte state[SLOTS], key[SLOTS], what[SLOTS], gen[SLOTS], lo[SLOTS], hi[SLOTS];
byte generation[KEYS];
byte lease_epoch = 1;
bool lease_holds = 1;
bool killed[4];

byte token[KEYS];    /* the server's */
byte least[KEYS];    /* nothing older may be found any more */
byte flushed[KEYS];  /* the tokens of a flush that is still to be heard of */
byte ended;
chan push = [8] of { byte };

/* --- a request that asks the server, and refills --- */

#define IS_FREE(s) (KIND(s) != BUSY || DEAD(PID(s)))
#if defined(BROKEN_DEAD_KEEPS_SLOT)
#define DEAD(pid) false
#elif defined(BROKEN_SLEEPER_LOSES_SLOT)
#define DEAD(pid) true
#else
#define DEAD(pid) killed[pid]
#endif

#ifdef BROKEN_CLAIM
#define CLAIMS(i, s) (state[i] == s || s < 255)
#else
#define CLAIMS(i, s) (state[i] == s)
#endif

inline choose_key(k)
{
    if
    :: k = 0
    :: KEYS > 1 -> k = KEYS - 1
    fi
}

inline choose_slot(i)
{
    if
    :: i = 0
    :: SLOTS > 1 -> i = SLOTS - 1
    fi
}

proctype request(byte me)
{
    byte left = REFILLS, k, i, epoch, g, v, s;

    {
        do
        :: left > 0 ->
            left--;
            choose_key(k);
            atomic {
                lease_holds -> /* else: ask, but do not install */
                epoch = lease_epoch
            }
#ifndef BROKEN_REFILL_GENERATION
            g = generation[k];
#endif
            v = token[k]; /* the server answers */
#ifdef BROKEN_REFILL_GENERATION
            g = generation[k];
#endif
#ifdef BROKEN_REFILL_EPOCH
            epoch = lease_epoch;
#endif
            if
            :: g == generation[k]
            :: else -> goto next
            fi;
            atomic {
                choose_slot(i);
                s = state[i];
                if
                :: IS_FREE(s)
                :: else -> goto next
                fi
            }
            d_step { /* the compare-and-swap of claim() */
                if
                :: CLAIMS(i, s) ->
                    if
                    :: KIND(s) == BUSY -> SEEN(6)
                    :: else
                    fi;
                    s = STATE(VERSION(s) + 1, me, BUSY);
                    state[i] = s
                :: else ->
                    SEEN(7);
                    s = 0
                fi
            }
            if
            :: s
            :: else -> goto next
            fi;
            key[i] = k;
            gen[i] = g;
            what[i] = epoch;
            lo[i] = TOKEN(k, v);
            hi[i] = TOKEN(k, v);
            d_step { /* the compare-and-swap that publishes */
                if
                :: state[i] == s -> state[i] = STATE(VERSION(s), me, LIVE)
                :: else
                fi
            }
next:
            atomic { k = 0; i = 0; epoch = 0; g = 0; v = 0; s = 0 }
        :: else -> break
        od
    }
    unless { killed[me] };
    ended++
}

/* --- a request that finds --- */

proctype lookup()
{
    byte k, i, s, epoch, asked, w, g, a, b;

    choose_key(k);
    d_step { /* it arrives as late as can be: when it looks at the lease */
        asked = least[k];
        epoch = (lease_holds -> lease_epoch : 0)
    }
#ifdef BROKEN_READ_GENERATION_FIRST
    byte early = generation[k];
    d_step { asked = least[k]; epoch = (lease_holds -> lease_epoch : 0) }
#endif
    do
    :: epoch && i < SLOTS ->
        s = state[i];
        if
        :: KIND(s) == LIVE ->
            if
            :: key[i] == k ->
                w = what[i];
                g = gen[i];
                a = lo[i];
                b = hi[i];
                if
#ifdef BROKEN_SEQLOCK
                :: true
#else
                :: state[i] == s
                :: atomic { else -> SEEN(3); goto no }
#endif
                fi;
                if
                :: w == epoch
                :: atomic { else -> SEEN(4); goto no }
                fi;
                d_step {
                    if
#ifdef BROKEN_READ_GENERATION_FIRST
                    :: g == early ->
#else
                    :: g == generation[k] ->
#endif
                        SEEN(0);
                        assert(a == b);            /* not torn */
                        assert(a / 16 == k);       /* its own */
                        assert(a % 16 >= asked);   /* never stale */
                        if
                        :: a % 16 > 0 -> SEEN(1)
                        :: else
                        fi;
                        if
                        :: epoch > 1 -> SEEN(2)
                        :: else
                        fi;
                        epoch = 0
                    :: else -> SEEN(5)
                    fi
                }
            :: else
            fi
        :: else
        fi;
no:
        atomic { i++; s = 0; w = 0; g = 0; a = 0; b = 0 }
    :: else -> break
    od;
    atomic { k = 0; i = 0; epoch = 0; asked = 0 }
}

/* --- what changes --- */

inline change(k)
{
    token[k]++;
    push!k
}

proctype writer() /* somewhere else */
{
    byte left = CHANGES, flushes = FLUSHES;

    do
    :: left > 0 -> d_step { left--; change(0) }
    :: flushes > 0 ->
        d_step {
            flushes--;
            token[0]++;
            flushed[0] = token[0];
            if
            :: KEYS > 1 -> token[KEYS - 1]++; flushed[KEYS - 1] = token[KEYS - 1]
            :: else
            fi;
            push!NIL
        }
    :: break
    od
}

inline at_least(k, n)
{
    if
    :: least[k] < n -> least[k] = n
    :: else
    fi
}

proctype bump() /* on this host */
{
    byte n;

    d_step { change(0); n = token[0] }
#ifdef BROKEN_BUMP_REPORTS_FIRST
    d_step { at_least(0, n); SEEN(8) }
    generation[0]++
#else
    generation[0]++;
    d_step { at_least(0, n); SEEN(8) } /* reports success */
#endif
}

/* What was heard in order: how many changes of a key, so that `least` is known. */
proctype listener()
{
    byte k, heard[2];

end:
    do
    :: atomic {
        push?k;
        if
        :: k != NIL ->
#ifdef BROKEN_NO_INVALIDATION
            skip;
#else
            generation[k]++;
#endif
            heard[k]++;
            at_least(k, heard[k]);
            k = 0;
            goto end
        :: else -> d_step { lease_epoch++; lease_holds = 0 } /* begin_epoch() */
        fi
       }
       d_step { /* the next round of confirm() */
        lease_holds = 1;
        heard[0]++;
        at_least(0, heard[0]);
        if
        :: KEYS > 1 -> heard[KEYS - 1]++; at_least(KEYS - 1, heard[KEYS - 1])
        :: else
        fi;
        k = 0
       }
    od
}

/* kill -9 */
proctype killer()
{
    if
    :: killed[1] = 1
    :: killed[REQUESTS] = 1
    :: skip
    fi
}

/* Whoever comes when all are gone finds a slot. */
proctype late()
{
    ended == REQUESTS ->
    assert(IS_FREE(state[0]) && IS_FREE(state[SLOTS - 1]))
}

init
{
    byte n = 1;

    atomic {
        do
        :: n <= REQUESTS -> run request(n); n++
        :: else -> break
        od;
        run lookup();
        if
        :: CHANGES || FLUSHES -> run writer()
        :: else
        fi;
        if
        :: BUMPS -> run bump()
        :: else
        fi;
        if
        :: CHANGES || FLUSHES || BUMPS -> run listener()
        :: else
        fi;
        run killer();
        run late()
    }
}
