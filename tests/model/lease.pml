/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease of the shared table: time, leaders, the server and what it does without saying so
 * (src/store/channel.c, listen.c, push.c, leased.c).
 *
 * Proves the law: no request is answered from the table with a token that is not the store's current
 * one if the change was acknowledged a lease or more before the request arrived.
 *
 * Here                 in the code
 *   lease_epoch, left   etv_channel_t.lease: epoch, and how much of the lease is left
 *   facts_of[]          etv_channel_t.facts: what etv_channel_get_facts says (facts.pml)
 *   leader()            listen.c: lead(), connect_both(), confirm(), publish(), listen_once()
 *   pushed[], ping[]    the push connection: what Redis sent and the leader has not read, in order,
 *                       and a PING on its way; tracked[]: Redis has the connection
 *   generation, entry_* the table for one key, whole (table.pml takes it apart)
 *   request()           leased.c: ask(), is_of(); it dies anywhere by not going on
 *   lookup()            etv_leased_lookup(), find_all()
 *   named               what the sentinels name as the primary
 *
 * Time is discrete: it passes anywhere, so that whoever does not run meanwhile was frozen, and who
 * never runs again was killed. Instead of points in time there are ages, which end at LEASE; so the
 * search has no last moment. What two events at the same tick have between them is no time at all.
 *
 * Who leads is not limited here: everyone may take over at any moment, also beside one that leads.
 * So the law depends neither on the leader word nor on the times in it.
 *
 * Left out: several keys; RESP; the order of connecting, as nothing counts before the first round.
 */
#ifndef LEASE
#define LEASE 2
#endif
#ifndef LEADERS
#define LEADERS 2
#endif
#ifndef WRITES /* acknowledged changes */
#define WRITES 1
#endif
#ifndef FLUSHES
#define FLUSHES 0
#endif
#ifndef SWAPS /* SWAPDB */
#define SWAPS 0
#endif
#ifndef PROMOTIONS /* of the other server, which is one write behind */
#define PROMOTIONS 0
#endif
#ifndef RESTARTS /* of the server, with the data of one write ago: connections end */
#define RESTARTS 0
#endif
#ifndef CUTS /* a connection for pushes is lost */
#define CUTS 0
#endif
#ifndef KILLS /* of a leader, which is replaced by a new process */
#define KILLS 0
#endif
/* ALONE: one leader, that nobody takes over from */
#ifndef EPOCHS /* no run takes more */
#define EPOCHS 4
#endif
#ifndef SENTINELS /* 1: a primary that was replaced does not know, but the sentinels do */
#define SENTINELS 0
#endif

#ifdef FINE /* what else is one step: the table's words, that table.pml takes apart */
#define TOGETHER
#else
#define TOGETHER atomic
#endif

c_decl {
    static const char *seen_names[] = {"hit", "hit in a later epoch", "hit of a changed token",
        "hit of an outdated token within the lease", "renewal", "renewal refused", "refill",
        "refill of another server refused", "takeover of a living leader", "flush heard",
        "other facts noticed", "connection lost", "demotion noticed", 0};
    \#include "seen.h"
}
#define SEEN(n) c_code { seen(n); }

#define KEY  1
#define NIL  2
#define PONG 3

#define TOKENS 8
#define QUEUED 3

/* --- shared memory --- */
byte lease_epoch, left;
byte facts_of[EPOCHS + 1];
byte generation;
byte entry_epoch, entry_generation, entry_token; /* token 0: none */

/* --- the store --- */
byte token[2], facts[2];       /* of each server; facts: run id, replication id, epoch key */
byte behind[2];                /* the token of one write ago */
byte other_token, other_facts; /* what a SWAPDB brings */
bool master[2];
byte primary, named;
byte last_token, last_facts;
byte age[TOKENS]; /* since when this token is not the current one; LEASE: since long, or ever */

/* --- connections --- */
chan pushed[LEADERS] = [QUEUED] of { byte };
bool tracked[LEADERS], ping[LEADERS];
byte to[LEADERS]; /* which server */
byte since[LEADERS], confirmed[LEADERS]; /* ages: of PING, of the question to the sentinels */

bool killed[LEADERS];

/* --- a leader --- */

#define MAY_RAISE (lease_epoch < EPOCHS)

/* begin_epoch() */
inline raise()
{
    lease_epoch++;
    left = 0;
    epoch = lease_epoch;
    has_facts = 0
}

inline hang_up()
{
    tracked[me] = 0;
    ping[me] = 0;
    since[me] = LEASE;
    confirmed[me] = LEASE;
    do
    :: len(pushed[me]) > 0 -> pushed[me]?_
    :: else -> break
    od
}

/* What a leader learns from the push connection; PONG is taken by who waits for it. */
#ifdef BROKEN_NO_INVALIDATION
#define INVALIDATE skip
#else
#define INVALIDATE generation++
#endif
#if defined(BROKEN_FLUSH) || defined(WITHOUT_FLUSH_PUSH)
#define HEAR_FLUSH skip
#else
#define HEAR_FLUSH raise()
#endif
#define HEARS_KEY (pushed[me]?[KEY])
#define HEARS_NIL (pushed[me]?[NIL] && MAY_RAISE)

#ifdef BROKEN_PONG_ORDER
#define HEARS_PONG (pushed[me]??[PONG])
#define TAKE_PONG  pushed[me]??PONG
#else
#define HEARS_PONG (pushed[me]?[PONG])
#define TAKE_PONG  pushed[me]?PONG
#endif

proctype leader(byte me)
{
    byte epoch, began, known, found;
    bool has_facts;

    do
    :: {
        d_step { /* lead(): has just taken the leader word */
            MAY_RAISE ->
            if
            :: tracked[1 - me] -> SEEN(8)
            :: else
            fi;
#ifdef BROKEN_NO_EPOCH_ON_TAKEOVER
            if
            :: lease_epoch -> epoch = lease_epoch
            :: else -> raise()
            fi
#else
            raise()
#endif
        };
connect: /* connect_both(): to whatever answers, and says that it is a primary */
        if
        :: d_step { master[0] -> to[me] = 0; tracked[me] = 1 }
        :: d_step { PROMOTIONS && master[1] -> to[me] = 1; tracked[me] = 1 }
        fi;
round: /* confirm() */
#if SENTINELS
        atomic { /* confirmed_since(): asked before, at the latest */
            if
            :: named == to[me] -> confirmed[me] = 0
#ifdef BROKEN_NO_SENTINELS
            :: named != to[me] -> confirmed[me] = 0
#else
            :: MAY_RAISE && named != to[me] -> goto give_up
#endif
            fi
        };
#endif
        atomic { /* asked_us; what counts is when the first question of a round was asked */
            since[me] = 0;
            began = epoch
#ifdef BROKEN_PING_BEFORE_CHECK
            ;
            ping[me] = tracked[me]
#endif
        };
        atomic { /* what the server answers to the check transaction */
            if
#ifdef BROKEN_NO_CHECK
            :: has_facts -> found = known
            :: !has_facts && master[to[me]] -> found = facts[to[me]]
#else
            :: master[to[me]] -> found = facts[to[me]]
#endif
            :: MAY_RAISE && !master[to[me]] -> SEEN(12); goto give_up
            fi
        };
#ifndef BROKEN_PING_BEFORE_CHECK
        /* Only now: what is pushed behind the PONG must not be older than what the check found. */
        ping[me] = tracked[me];
#endif
        do /* await_pong() */
        :: d_step { HEARS_KEY -> pushed[me]?KEY; INVALIDATE }
        :: d_step { HEARS_NIL -> pushed[me]?NIL; HEAR_FLUSH; SEEN(9) }
        :: d_step {
            HEARS_PONG ->
            TAKE_PONG;
#ifdef BROKEN_PONG_TIME
            since[me] = 0
#endif
           };
           break
        :: atomic { !tracked[me] && MAY_RAISE -> SEEN(11); goto give_up }
        od;
        TOGETHER {
        if
        :: atomic { epoch != began -> found = 0; since[me] = LEASE; confirmed[me] = LEASE; goto idle }
        :: d_step {
            epoch == began && (!has_facts || found == known || MAY_RAISE) ->
            if
            :: has_facts && found != known -> raise(); SEEN(10)
            :: else
            fi;
            known = found;
            found = 0;
            if
            :: has_facts
            :: else -> facts_of[epoch] = known; has_facts = 1
            fi
           }
        fi;
        d_step { /* publish() */
            lease_epoch == epoch || MAY_RAISE ->
#if SENTINELS && !defined(BROKEN_SENTINEL_TIME)
            if
            :: since[me] < confirmed[me] -> since[me] = confirmed[me]
            :: else
            fi;
#endif
            if
#if defined(BROKEN_PUBLISH_OVER)
            :: true -> lease_epoch = epoch; left = LEASE - since[me]; SEEN(4)
#elif defined(BROKEN_PUBLISH_ANY)
            :: true -> left = LEASE - since[me]; SEEN(4)
#else
            :: lease_epoch == epoch -> left = LEASE - since[me]; SEEN(4)
            :: lease_epoch != epoch && MAY_RAISE -> raise(); SEEN(5)
#endif
            fi;
            since[me] = LEASE;
            confirmed[me] = LEASE
        } };
idle:
        do /* listen_once() */
        :: d_step { HEARS_KEY -> pushed[me]?KEY; INVALIDATE }
        :: d_step { HEARS_NIL -> pushed[me]?NIL; HEAR_FLUSH; SEEN(9) }
        :: goto round
        :: atomic { !tracked[me] && MAY_RAISE -> SEEN(11); goto give_up }
        od;
give_up:
        atomic {
            MAY_RAISE ->
            hang_up();
            found = 0;
#ifndef BROKEN_NO_EPOCH_ON_LOSS
            raise()
#endif
        };
        goto connect
       }
       unless { killed[me] };
       d_step {
        killed[me] = 0;
        hang_up();
        epoch = 0;
        began = 0;
        known = 0;
        found = 0;
        has_facts = 0
       }
    od
}

/* --- a request that asks, and refills; only one whose epoch counted then may --- */

proctype request()
{
    byte e, g, v, f;

    do
    :: TOGETHER {
       d_step {
#ifdef BROKEN_REFILL_UNPUBLISHED
        lease_epoch ->
#else
        left ->
#endif
        e = lease_epoch
       };
#ifndef BROKEN_REFILL_GENERATION
       g = generation
#endif
       };
       if
       :: d_step { master[0] -> v = token[0]; f = facts[0] }
       :: d_step { master[1] -> v = token[1]; f = facts[1] }
       fi;
#ifdef BROKEN_REFILL_GENERATION
       g = generation;
#endif
#ifdef BROKEN_REFILL_EPOCH
       e = lease_epoch;
#endif
       TOGETHER {
        if
        :: facts_of[e] == f
#ifdef BROKEN_REFILL_FACTS
        :: else
#else
        :: atomic { else -> SEEN(7); goto done }
#endif
        fi;
        d_step {
            if
            :: g == generation ->
                entry_epoch = e;
                entry_generation = g;
                entry_token = v;
                SEEN(6)
            :: else
            fi
        };
done:
        atomic { e = 0; g = 0; v = 0; f = 0 }
       }
    od
}

/* --- a request that finds --- */

proctype lookup()
{
    byte e, n;
    byte dead; /* bits: tokens that the law forbids */

    do
    :: TOGETHER { d_step { /* it arrives as late as can be: when it looks at the lease */
        left ->
        e = lease_epoch;
        n = 1;
        do
        :: n <= last_token ->
            if
            :: n != token[primary] && age[n] >= LEASE -> dead = dead | (1 << n)
            :: else
            fi;
            n++
        :: else -> break
        od;
        n = 0
       };
       d_step {
        if
        :: entry_token && entry_epoch == e && entry_generation == generation ->
            SEEN(0);
            if
            :: e > 1 -> SEEN(1)
            :: else
            fi;
            if
            :: entry_token > 2 -> SEEN(2)
            :: else
            fi;
            if
            :: entry_token != token[primary] -> SEEN(3)
            :: else
            fi;
            assert(!(dead & (1 << entry_token))) /* never stale */
        :: else
        fi;
        e = 0;
        dead = 0
       } }
    od
}

/* --- time, the network, the server --- */

inline older(a)
{
    if
    :: a < LEASE -> a++
    :: else
    fi
}

/* To all that listen to this server; one that does not read is cut off. */
inline tell(server, message)
{
    n = 0;
    do
    :: n < LEADERS ->
        if
        :: tracked[n] && to[n] == server && len(pushed[n]) < QUEUED -> pushed[n]!message
        :: tracked[n] && to[n] == server && len(pushed[n]) == QUEUED -> tracked[n] = 0
        :: !tracked[n] || to[n] != server
        fi;
        n++
    :: else -> break
    od;
    n = 0
}

inline change(server)
{
    behind[server] = token[server];
    age[token[server]] = 0;
    last_token++;
    token[server] = last_token
}

proctype world()
{
    byte writes = WRITES, flushes = FLUSHES, swaps = SWAPS, promotions = PROMOTIONS, n;
    byte restarts = RESTARTS, cuts = CUTS, kills = KILLS;

    do
    :: d_step { /* time passes */
        if
        :: left -> left--
        :: else
        fi;
        n = 1;
        do
        :: n <= last_token ->
            if
            :: n != token[primary] -> older(age[n])
            :: else
            fi;
            n++
        :: else -> break
        od;
        n = 0;
        do
        :: n < LEADERS -> older(since[n]); older(confirmed[n]); n++
        :: else -> break
        od;
        n = 0
       }
    :: d_step { ping[0] && tracked[0] && nfull(pushed[0]) -> ping[0] = 0; pushed[0]!PONG }
    :: d_step { ping[1] && tracked[1] && nfull(pushed[1]) -> ping[1] = 0; pushed[1]!PONG }
    :: d_step { writes -> writes--; change(primary); tell(primary, KEY) }
    :: d_step { /* messages do not say which database */
        writes && SWAPS ->
        writes--;
        last_token++;
        age[last_token] = LEASE;
        other_token = last_token;
        tell(primary, KEY)
       }
    :: d_step {
        flushes ->
        flushes--;
        change(primary);
#ifndef BROKEN_FLUSH
        last_facts++;
        facts[primary] = last_facts;
#endif
        tell(primary, NIL)
       }
    :: d_step { /* nobody is told */
        swaps ->
        swaps--;
        age[token[primary]] = 0;
        n = token[primary]; token[primary] = other_token; other_token = n;
        n = facts[primary]; facts[primary] = other_facts; other_facts = n;
        n = 0
       }
    :: atomic {
        promotions ->
        promotions--;
        if
        :: token[1] = token[0]
        :: token[1] = behind[0]
        fi;
        d_step {
            if
            :: token[1] != token[0] -> age[token[0]] = 0
            :: else
            fi;
            last_facts++;
            facts[1] = last_facts;
            behind[1] = token[1];
            master[0] = SENTINELS;
            master[1] = 1;
            primary = 1;
            named = 1
        }
       }
    :: atomic {
        restarts ->
        restarts--;
        if
        :: age[token[primary]] = 0; token[primary] = behind[primary]
        :: skip
        fi;
        d_step {
            last_facts++;
            facts[primary] = last_facts;
            do
            :: n < LEADERS ->
                if
                :: to[n] == primary -> tracked[n] = 0
                :: else
                fi;
                n++
            :: else -> break
            od;
            n = 0
        }
       }
    :: d_step { cuts && tracked[0] -> cuts--; tracked[0] = 0 }
    :: d_step { cuts && tracked[1] -> cuts--; tracked[1] = 0 }
    :: d_step { kills -> kills--; killed[0] = 1 }
    od
}

init
{
    atomic {
        token[0] = 1;
        behind[0] = 1;
        facts[0] = 1;
        other_token = 2;
        other_facts = 2;
        last_token = 2;
        last_facts = 2;
        age[1] = LEASE;
        age[2] = LEASE;
        master[0] = 1;
        since[0] = LEASE;
        since[1] = LEASE;
        confirmed[0] = LEASE;
        confirmed[1] = LEASE;
        run leader(0);
#ifndef ALONE
        run leader(1);
#endif
        run request();
        run lookup();
        run world()
    }
}
