/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes: from before the backend runs until the bump is acknowledged (src/store/change.c, pending.c,
 * keeper_care.c, redis_change.c, redis_bump.c, redis_rescue.c; src/httpd/bump.c).
 *
 * Proves, of requests that arrive after the commit:
 *   - on the host of the change none is answered 304 for older data;
 *   - on any other neither, where the store had acknowledged the announcement;
 *   - nor on any, where not, once the bump was carried out.
 * And: when all has come to rest, every commit was followed by a bump, and nothing is left open. Of two
 * who change what they have read (`CONDITIONAL`) none writes over what the other has written.
 * Processes die anywhere; what is said to the store gets lost, arrives late, or is not acknowledged.
 *
 * The second needs an assumption: the store has not forgotten since (`told` counts for an instance of the
 * store alone). Where it has, another host knows nothing until the change is announced again: that this
 * window is there shows WINDOW, which leaves the assumption out.
 *
 * Here                 in the code
 *   slot[]             a slot of etv_pending_t: HELD is renewed, or its time has not passed; DUE
 *   rec[]              etv_record_t.state; FORSAKEN: the request is gone, the backend may work on
 *   unsure[], token    .unsure; the model's key
 *   open[], alive[]    %open:<model> has this change; %alive:<owner>
 *   instance           etv_snapshot_t.instance: run id, replication id, epoch key
 *   httpd(i)           the process that serves the POST of change i; bump.c, change.c
 *   backend(i)         commits before its response begins and after, as it likes; outlives its httpd
 *   keeper(i)          keeper_care.c: care_for(), of the record of change i
 *   deliver(h)         keeper_care.c: deliver_group(), in some process of host h
 *   rescue()           etv_redis_rescue(), on any host
 *   reader()           a client with one tag, that asks any host: versions.c, early.c, stamp.c
 *
 * And another: an owner may make other changes all the time, so that its sign of life does not end with
 * this one. Then a store that comes back with what it had when the change was open, which has ended
 * since, holds it open for as long as the owner lives. GHOST shows this; otherwise owners are idle where
 * there are RESTARTS, and busy where there are none.
 *
 * Grace: whoever died, or forsook a change, counts as gone when its backend cannot commit any more, and
 * not before. Tokens are equal or not; so one that nobody remembers stands for a new one.
 *
 * Left out: several models; the words of a slot; the lease (lease.pml: strict is taken here); a store that
 * forgets what CONDITIONAL has read.
 */
#ifndef CHANGES
#define CHANGES 1
#endif
#ifndef SECOND /* host of the second change; the first one's is 0 */
#define SECOND 1
#endif
#ifndef FAULTS /* of what is said to the store: not acknowledged */
#define FAULTS 0
#endif
#ifndef KILLS /* kill -9 of a child */
#define KILLS 0
#endif
#ifndef HALTS /* of all of host 0 at once: its shared memory is gone */
#define HALTS 0
#endif
#ifndef RESTARTS /* of the store, with all that it had, or had once */
#define RESTARTS 0
#endif
#ifndef LEAVES /* a request ends before its backend: the client is gone, or a timeout */
#define LEAVES 0
#endif
/* BRIEF: the response is whole when the backend has ended, there is one commit at most */

c_decl {
    static const char *seen_names[] = {"304", "304 after a change", "not answered: open",
        "not answered: pending", "delivered for the dead", "delivered when the store was back",
        "rescued", "withdrawn", "withdrawn late", "announced again to a store that forgot",
        "commit that no other host knows of", "commit after the end of httpd",
        "commit after the end of the request", "arrived late", "as read", "not as read",
        "came to rest", 0};
    \#include "seen.h"
}
#define SEEN(n) c_code { seen(n); }

#define HOST(i) ((i) == 0 -> 0 : SECOND)

#define NONE      0
#define HELD      1
#define DUE       2
#define TENTATIVE 3

#define OPEN     0
#define ENDING   1
#define DONE     2
#define LEFT     3
#define FORSAKEN 4

#define IDLE    0
#define RUNS    1
#define HEAD    2 /* the response has begun, and is no 4xx */
#define ENDED   3
#define REFUSED 4 /* 4xx */

#define LATE_ANNOUNCE 1
#define LATE_BUMP     2
#define LATE_COMPLETE 4

/* --- the hosts: processes, and shared memory --- */
byte slot[CHANGES], rec[CHANGES];
bool begun[CHANGES], unsure[CHANGES];
bool dead[CHANGES]; /* the process of this change */
bool halted;        /* host 0 was: what its memory knew nobody knows */
bool unknown;       /* a change of it that the store did not know either */

/* --- the store --- */
byte token = 1, instance;
bool open[CHANGES], alive[CHANGES];
byte told[CHANGES]; /* the instance that has acknowledged it, from 1 */
byte late[CHANGES]; /* on its way */
byte faults = FAULTS, leaves = LEAVES;

bool saves = (RESTARTS > 0); /* what a restart may bring back */
byte saved_token = 1;
bool saved_open[CHANGES], saved_alive[CHANGES];

/* --- backends --- */
byte phase[CHANGES];
byte data;    /* commits */
byte covered; /* those before the last bump */

/* What must be known to requests that arrive now. */
byte must_all, must_on[2];

/* --- the client, and who changes what it has read --- */
byte kept, kept_in, kept_data;
byte looked, looked_in;
byte read[CHANGES], read_data[CHANGES];

#if CHANGES > 1
#define ANY(a)        (a[0] || a[1])
#define READ_BY_2(t)  (read[1] == t)
#define OTHER(i)      (1 - (i))
#define OTHER_OPEN(i) (open[OTHER(i)])
#define PENDING(h)    ((HOST(0) == h && slot[0]) || (HOST(1) == h && slot[1]))
#define PENDING_OTHER(i) \
    (HOST(0) == HOST(1) && (slot[OTHER(i)] == HELD || slot[OTHER(i)] == DUE))
#else
#define ANY(a)           (a[0])
#define READ_BY_2(t)     false
#define OTHER_OPEN(i)    false
#define PENDING(h)       (HOST(0) == h && slot[0])
#define PENDING_OTHER(i) false
#endif

/* Its backend cannot commit any more. */
#define IS_QUIET(i) (phase[i] == IDLE || phase[i] == REFUSED || phase[i] == ENDED)

/* --- what the store does, at one moment --- */

#define IS_REMEMBERED(t) \
    (t == token || t == saved_token || t == kept || t == looked || t == read[0] || READ_BY_2(t))

/*
 * In a d_step: what no token will ever be equal to again is no different from none. What is broken
 * may see one again, or looks at it later.
 */
#if defined(BROKEN_TOKEN_AGAIN) || defined(BROKEN_NO_INSTANCE) || \
    defined(BROKEN_PENDING_AFTER_VERSION)
#define forget() skip
#else
inline forget()
{
    kept = 0;
    kept_in = 0;
    kept_data = 0;
    looked = 0;
    looked_in = 0;
    read[0] = 0;
#if CHANGES > 1
    read[1] = 0
#endif
}
#endif

/* In a d_step: a new token. */
inline renew()
{
    fresh = 1;
    do
    :: IS_REMEMBERED(fresh) -> fresh++
    :: else -> break
    od;
    token = fresh;
    fresh = 0;
    forget();
    covered = data;
    must_all = data
}

inline add(i)
{
#ifndef BROKEN_NO_ANNOUNCEMENT
    open[i] = 1;
    alive[i] = 1
#else
    skip
#endif
}

/* --- what is said to it; `ok`: acknowledged --- */

/* Not acknowledged: lost, late, or it was carried out. */
inline fail(i, what)
{
    faults--;
    ok = 0;
    if
    :: true
    :: late[i] = late[i] | what
    fi
}

inline announce(i)
{
    if
    :: d_step { add(i); told[i] = instance + 1; ok = 1 }
    :: atomic { faults -> unsure[i] = 1; fail(i, LATE_ANNOUNCE) }
    fi
}

inline bump(i)
{
    if
    :: d_step { renew(); ok = 1 }
    :: atomic { faults -> fail(i, LATE_BUMP) }
    fi
}

inline complete(i)
{
    if
#if defined(BROKEN_OPEN_ENDS_FIRST)
    :: open[i] = 0; d_step { renew(); ok = 1 }
#elif defined(BROKEN_TOKEN_AGAIN)
    /* The connection is lost before the answer, and the same is said on another one. */
    :: d_step { renew(); open[i] = 0; looked_again = token }; d_step { token = looked_again; ok = 1 }
#else
    :: d_step { renew(); open[i] = 0; ok = 1 }
#endif
    :: atomic { faults -> fail(i, LATE_COMPLETE) }
    fi
}

inline withdraw(i)
{
    if
    :: d_step { open[i] = 0; ok = 1 }
    :: atomic { faults -> fail(i, 0) }
    fi
}

/* --- a change --- */

#ifdef CONDITIONAL
/* What its client has read: the tag's version, and then the data. */
inline client_reads(i)
{
    atomic {
        if
        :: PENDING(HOST(i)) || ANY(open) -> goto over /* no tag, no condition */
        :: else -> read[i] = token
        fi
    };
    read_data[i] = data
}

#ifdef BROKEN_AS_READ_IGNORES_OPEN
#define IS_AS_READ(i) (token == read[i])
#elif defined(BROKEN_AS_READ_IGNORES_VERSION)
#define IS_AS_READ(i) (!OTHER_OPEN(i))
#else
#define IS_AS_READ(i) (token == read[i] && !OTHER_OPEN(i))
#endif

inline announce_as_read(i)
{
    atomic {
        if
        :: PENDING_OTHER(i) -> SEEN(15); goto not_begun
        :: else
        fi
    };
#ifdef BROKEN_AS_READ_UNWATCHED
    atomic {
        if
        :: IS_AS_READ(i)
        :: else -> goto not_begun
        fi
    };
    announce(i);
#else
    atomic {
        if
#ifdef BROKEN_AS_READ_UNANNOUNCED
        :: true
#endif
        :: IS_AS_READ(i) -> announce(i); SEEN(14)
        :: else -> SEEN(15); goto not_begun
        fi
    };
#endif
    slot[i] = HELD;
#ifndef BROKEN_AS_READ_UNANNOUNCED
    if
    :: ok
    :: else -> goto back /* 503 */
    fi
#endif
}
#endif

proctype httpd(byte i)
{
    bool ok;
    byte fresh, looked_again;

    {
#ifdef CONDITIONAL
        client_reads(i);
        slot[i] = TENTATIVE;
        announce_as_read(i);
#else
#ifdef BROKEN_BACKEND_FIRST
        phase[i] = RUNS;
#endif
#ifndef BROKEN_NO_SLOT
        slot[i] = HELD;
#endif
        announce(i);
#endif
        begun[i] = 1; /* .told: the keeper announces it, too */
#ifndef BROKEN_BACKEND_FIRST
        if
        :: phase[i] = RUNS
        :: !ok -> goto back /* InvalidateRequire: 503 */
        fi;
#endif
        ok = 0;
        if
        :: phase[i] == REFUSED -> goto back
        :: phase[i] == HEAD ->
#ifdef BROKEN_BUMP_ONCE
            goto end;
#else
            bump(i)
#endif
        :: phase[i] == ENDED
#if LEAVES
        :: leaves && (phase[i] == RUNS || phase[i] == HEAD) -> leaves--; goto leave
#endif
        fi;
        if
        :: phase[i] == ENDED
#if LEAVES
        :: leaves && phase[i] == HEAD -> leaves--; goto leave
#endif
        fi;
#ifdef BROKEN_5XX_WITHDRAWS
        if
        :: goto back
        :: true
        fi;
#endif
end:
        rec[i] = ENDING;
#ifdef BROKEN_SLOT_ENDS_FIRST
        slot[i] = NONE;
#endif
        complete(i);
        if
        :: ok -> slot[i] = NONE; rec[i] = DONE
#ifdef BROKEN_SLOT_ENDS_UNDELIVERED
        :: else -> slot[i] = NONE; rec[i] = DONE
#else
        :: else -> slot[i] = DUE; rec[i] = LEFT
#endif
        fi;
        goto over;
leave: /* the request's pool goes */
#if defined(BROKEN_LEAVING_DELIVERS)
        atomic { slot[i] = DUE; rec[i] = LEFT };
#elif defined(BROKEN_LEAVING_COMPLETES)
        goto end;
#else
        rec[i] = FORSAKEN;
#endif
        goto over;
back:
        rec[i] = ENDING;
        withdraw(i);
        if
        :: atomic { ok -> SEEN(7) }; slot[i] = NONE; rec[i] = DONE
        :: else -> slot[i] = DUE; rec[i] = LEFT
        fi;
        goto over;
#ifdef CONDITIONAL
not_begun:
        slot[i] = NONE;
        rec[i] = DONE;
#endif
over:
        atomic { ok = 0; read[i] = 0; read_data[i] = 0 }
    }
    unless { dead[i] }
}

/* In a d_step or atomic. */
inline commit(i)
{
#ifdef CONDITIONAL
    if
    :: phase[i] == RUNS -> assert(data == read_data[i]) /* nobody's work is lost */
    :: else
    fi;
#endif
    data++;
    if
    :: !halted || HOST(i) -> must_on[HOST(i)] = data
    :: else
    fi;
    if
#ifdef WINDOW
    :: told[i] -> must_all = data
#else
    :: told[i] == instance + 1 -> must_all = data
#endif
    :: else -> SEEN(10)
    fi;
    if
    :: dead[i] -> SEEN(11)
    :: rec[i] == FORSAKEN -> SEEN(12)
    :: else
    fi
}

proctype backend(byte i)
{
end_idle:
    phase[i] == RUNS;
    if
    :: phase[i] = REFUSED; goto over
    :: atomic { commit(i) }
    :: true
    fi;
#ifdef BRIEF
    phase[i] = ENDED;
    goto over;
#endif
    phase[i] = HEAD;
    if
    :: atomic { commit(i) }
    :: true
    fi;
    phase[i] = ENDED;
over:
    skip
}

/* --- what the keeper of its process does for it --- */

/* Another one is to wait until nothing of this change is on its way any more: a grace. */
inline withdraw_late(i)
{
    withdraw(i);
    if
    :: atomic { ok -> SEEN(8); ok = 0; times-- }
    :: else
    fi
}

#ifdef BROKEN_LEFT_IS_FORGOTTEN
#define MAY_END(i) (rec[i] == DONE || rec[i] == LEFT)
#else
/* Of one that was left: when whoever delivered it has. */
#define MAY_END(i) (rec[i] == DONE || ((rec[i] == LEFT || rec[i] == FORSAKEN) && slot[i] == NONE))
#endif

#define IS_UNDER_WAY(i) (rec[i] == OPEN || (rec[i] == FORSAKEN && slot[i]))

proctype keeper(byte i)
{
    bool ok, again;
    byte times;

    {
end_idle:
        do
        :: atomic {
            begun[i] && !again && IS_UNDER_WAY(i) ->
            if
            :: told[i] && told[i] != instance + 1 -> SEEN(9)
            :: else
            fi;
            again = (told[i] == instance + 1) /* once, where it changes nothing */
           };
           announce(i);
           if
           :: rec[i] == OPEN
           :: else -> times = 1 /* it may have ended before the store heard this */
           fi
        :: MAY_END(i) -> break
        od;
#ifndef BROKEN_NO_WITHDRAWAL
        if
#ifdef BROKEN_LEFT_IS_FORGOTTEN
        :: rec[i] == LEFT -> times = 0
#endif
        :: unsure[i] -> times = 2
        :: else
        fi;
        do
        :: times == 2 -> withdraw_late(i)
        :: times == 1 && !late[i] -> withdraw_late(i)
        :: times == 0 -> break
        od
#endif
    }
    unless { dead[i] };
    atomic { ok = 0; again = 0; times = 0 }
}

/* --- what others do for it --- */

#ifdef BROKEN_DUE_BEFORE_GRACE
#define IS_DUE(i) (slot[i] && (slot[i] == DUE || dead[i] || rec[i] == FORSAKEN))
#else
#define IS_DUE(i) \
    (slot[i] && (slot[i] == DUE || (IS_QUIET(i) && (dead[i] || rec[i] == FORSAKEN))))
#endif

proctype deliver(byte h)
{
    bool ok;
    byte i, fresh, looked_again;

end_idle:
    do
    :: atomic {
        if
        :: HOST(0) == h && IS_DUE(0) -> i = 0
#if CHANGES > 1
        :: HOST(1) == h && IS_DUE(1) -> i = 1
#endif
        fi;
        if
        :: dead[i] -> SEEN(4)
        :: else -> SEEN(5)
        fi
       };
#ifdef BROKEN_DELIVERY_ENDS_NOTHING
       bump(i);
#else
       complete(i);
#endif
       atomic {
        if
        :: ok -> slot[i] = NONE
        :: else
        fi;
        ok = 0;
        i = 0
       }
    od
}

inline find_dead()
{
    if
    :: open[0] && !alive[0] -> i = 0
#if CHANGES > 1
    :: open[1] && !alive[1] -> i = 1
#endif
    fi
}

proctype rescue()
{
    byte i, fresh;

end_idle:
    do
    :: atomic { find_dead(); SEEN(6)
#ifdef BROKEN_RESCUE_UNWATCHED
       };
       atomic {
#endif
        d_step {
#ifndef BROKEN_RESCUE_DOES_NOT_BUMP
            renew();
#endif
            open[i] = 0;
            i = 0
        }
       }
    od
}

/* --- requests --- */

#ifdef BROKEN_PENDING_IS_IGNORED
#define IS_PENDING(h) false
#else
#define IS_PENDING(h) PENDING(h)
#endif
#ifdef BROKEN_OPEN_IS_IGNORED
#define IS_OPEN false
#else
#define IS_OPEN ANY(open)
#endif

#if defined(BROKEN_NO_INSTANCE)
#define IS_KEPT (kept && kept == looked)
#else
#define IS_KEPT (kept && kept == looked && kept_in == looked_in)
#endif
#ifdef STAMPS_OPEN
#define MAY_STAMP true
#else
#define MAY_STAMP (!changing && !pending)
#endif

/* In a d_step: 304, or whether the backend is asked for something to keep. */
inline answer()
{
    if
    :: changing -> SEEN(2)
    :: !changing && pending -> SEEN(3)
    :: !changing && !pending && IS_KEPT ->
        SEEN(0);
        if
        :: kept_data -> SEEN(1)
        :: else
        fi;
        assert(kept_data >= must); /* never stale */
        looked = 0
    :: else
    fi;
    if
    :: looked || changing || pending -> kept = 0; kept_in = 0; kept_data = 0
    :: else
    fi;
    if
    :: !MAY_STAMP -> looked = 0
    :: else
    fi;
    must = 0;
    pending = 0;
    changing = 0
}

inline read_version()
{
    looked = token;
    looked_in = instance;
    changing = IS_OPEN
}

proctype reader()
{
    byte h, must, d;
    bool pending, changing;

    do
    :: atomic {
        if
        :: h = 0
        :: h = 1
        fi;
        d_step { /* it arrives as late as can be: when it looks at the pending ones */
            must = (must_all > must_on[h] -> must_all : must_on[h]);
#ifndef BROKEN_PENDING_AFTER_VERSION
            pending = IS_PENDING(h);
            h = 0
#endif
        }
       };
#ifdef BROKEN_VERSION_AFTER_DATA
       d = data;
#endif
#ifdef BROKEN_PENDING_AFTER_VERSION
       d_step { read_version() };
       d_step { pending = IS_PENDING(h); h = 0; answer() };
#else
       d_step { read_version(); answer() }; /* of one transaction */
#endif
       d_step {
        if
#ifdef BROKEN_VERSION_AFTER_DATA
        :: looked -> kept = looked; kept_in = looked_in; kept_data = d
#else
        :: looked -> kept = looked; kept_in = looked_in; kept_data = data
#endif
        :: else
        fi;
        looked = 0;
        looked_in = 0;
        d = 0
       }
    :: break
    od
}

/* --- the store, and what happens to processes --- */

#ifdef BROKEN_RESCUE_BEFORE_GRACE
#define IS_GONE(i) dead[i]
#elif RESTARTS && !defined(GHOST)
/* Or it has no other change, and shows life no more. */
#define IS_GONE(i) (IS_QUIET(i) && (dead[i] || !IS_UNDER_WAY(i)))
#else
#define IS_GONE(i) (IS_QUIET(i) && dead[i])
#endif

/* It comes back with these changes, by an inline that says so for each. */
inline remember(i, was_open, was_alive)
{
    open[i] = was_open;
    alive[i] = was_alive;
    told[i] = (told[i] == instance && was_open && was_alive -> instance + 1 : told[i])
}

inline restart(t, open_0, alive_0, open_1, alive_1)
{
    d_step {
        restarts--;
        instance++;
        token = t;
        remember(0, open_0, alive_0);
#if CHANGES > 1
        remember(1, open_1, alive_1);
#endif
        forget();
        covered = data;
        unknown = unknown || halted /* who would announce it again? */
    }
}

inline happens_to(i)
{
    if
#ifdef CONDITIONAL
    :: d_step { late[i] & LATE_ANNOUNCE ->
        late[i] = late[i] & ~LATE_ANNOUNCE;
        SEEN(13);
        if
        :: IS_AS_READ(i) -> add(i) /* what is watched */
        :: else
        fi
       }
#else
    :: d_step { late[i] & LATE_ANNOUNCE -> late[i] = late[i] & ~LATE_ANNOUNCE; add(i); SEEN(13) }
#endif
    :: d_step { late[i] & LATE_BUMP -> late[i] = late[i] & ~LATE_BUMP; renew() }
    :: d_step { late[i] & LATE_COMPLETE -> late[i] = late[i] & ~LATE_COMPLETE; renew(); open[i] = 0 }
    :: d_step { alive[i] && IS_GONE(i) && !(late[i] & LATE_ANNOUNCE) -> alive[i] = 0 }
    :: d_step { kills && !dead[i] && (rec[i] != DONE || open[i] || late[i]) -> kills--; dead[i] = 1 }
    fi
}

proctype world()
{
    byte kills = KILLS, halts = HALTS, restarts = RESTARTS, fresh;

end_idle:
    do
    :: happens_to(0)
#if CHANGES > 1
    :: happens_to(1)
#endif
#if HALTS
    :: d_step {
        halts ->
        halts--;
        halted = 1;
        dead[0] = 1;
        slot[0] = NONE;
        must_on[0] = 0;
        unknown = unknown || !open[0] || !alive[0]
#if CHANGES > 1 && !SECOND
        ;
        dead[1] = 1;
        slot[1] = NONE;
        unknown = unknown || !open[1] || !alive[1]
#endif
       }
#endif
#if RESTARTS
    :: d_step {
        saves ->
        saves = 0;
        saved_token = token;
        saved_open[0] = open[0];
        saved_alive[0] = alive[0];
#if CHANGES > 1
        saved_open[1] = open[1];
        saved_alive[1] = alive[1]
#endif
       }
    :: atomic { restarts -> restart(token, open[0], alive[0], open[CHANGES - 1], alive[CHANGES - 1]) }
    :: atomic { restarts -> saves = 0;
        restart(saved_token, saved_open[0], saved_alive[0], saved_open[CHANGES - 1],
                saved_alive[CHANGES - 1])
       }
    :: atomic { restarts -> saves = 0; /* its time had nearly passed */
        restart(saved_token, saved_open[0], 0, saved_open[CHANGES - 1], 0)
       }
#endif
    od
}

proctype rest()
{
    timeout ->
    atomic {
        SEEN(16);
        assert(!ANY(open) && !ANY(slot)); /* not for ever */
        assert(unknown || covered == data) /* no commit without a bump */
    }
}

init
{
    byte n;

    atomic {
        do
        :: n < CHANGES -> run httpd(n); run backend(n); run keeper(n); n++
        :: else -> break
        od;
        run deliver(0);
#if CHANGES > 1 && SECOND
        run deliver(1);
#endif
        run rescue();
#ifndef CONDITIONAL
        run reader();
#endif
        run world();
        run rest();
        n = 0
    }
}
