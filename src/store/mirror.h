/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A mirror, in shared memory, of versions that a server keeps and pushes the changes of. All
 * children of all generations of one httpd share it.
 *
 * An entry never becomes wrong by itself, it is outdated by its surroundings: it holds the epoch
 * and the generation of its key that were in force before its version was asked for, and counts
 * only while both still are. So an invalidation is one atomic increment, of the generation, that
 * needs no look at the entries; and what was asked for before an invalidation is void when it is
 * installed after.
 *
 * Whatever was asked for a minute ago is unknown as well: a server may lose a push.
 *
 * Nobody waits for anybody: readers take what is whole, writers take a slot that nobody is writing.
 * A slot whose writer died is taken over by a later writer that finds the process gone.
 *
 *   +--------+-------------+-----+-------------------------+-- set 0 --+-- set 1 --+ ...
 *   | header | channel 0..63     | generations, one per slot | 16 entries | 16 entries |
 *   +--------+-------------+-----+-------------------------+-----------+-----------+ ...
 */
#ifndef ETV_STORE_MIRROR_H
#define ETV_STORE_MIRROR_H

#include <apr.h>
#include <apr_time.h>

#include "core/hash.h"
#include "core/token.h"
#include "store/channel.h"

#define ETV_MIRROR_WAYS 16
/** Stores that can use one mirror. */
#define ETV_MIRROR_CHANNELS 64

typedef struct etv_mirror_t etv_mirror_t;

/** Bytes of shared memory that a mirror of `entries` needs. */
apr_size_t etv_mirror_bytes(int entries);

/** Lay out a mirror in zeroed memory that is aligned to 64 bytes, before the first fork. */
etv_mirror_t *etv_mirror_init(void *memory, int entries);

/** How many entries it was made for. */
int etv_mirror_entries(const etv_mirror_t *mirror);

/**
 * The channel of a store; made when there is none yet. Called in the parent alone.
 * @param name  of everything that tells stores apart
 * @return NULL when all are in use
 */
etv_channel_t *etv_mirror_channel(etv_mirror_t *mirror, etv_hash128_t name);

/** What may be pushed aside by what, so that names which clients make up take no room of others. */
typedef enum {
    ETV_MIRROR_CONFIGURED, /**< named in the configuration: takes any slot of its set */
    ETV_MIRROR_LEARNED,    /**< comes from requests: takes no slot of the configured ones */
    ETV_MIRROR_MADE_UP     /**< comes from requests, and the server knows no such name */
} etv_mirror_class_e;

#define ETV_MIRROR_TOKEN_WORDS (ETV_TOKEN_SHORT_MOST / 8)

/** A version, or the fact that there is none. */
typedef struct {
    union {
        unsigned char token[ETV_TOKEN_SHORT_MOST];
        apr_uint64_t words[ETV_MIRROR_TOKEN_WORDS]; /**< the same, for copying */
    };
    unsigned char len;
    unsigned char absent; /**< 1: the server has none */
} etv_mirror_value_t;

/** The generation of a key now: to be read before its version is asked for. */
apr_uint64_t etv_mirror_generation(const etv_mirror_t *mirror, etv_hash128_t key);

/** What was read of this key before is void from now on. */
void etv_mirror_invalidate(etv_mirror_t *mirror, etv_hash128_t key);

/** Everything is void. */
void etv_mirror_invalidate_all(etv_mirror_t *mirror);

/**
 * @param epoch   of the channel, now
 * @param now_us  etv_boottime_us; what is found counts as used then
 * @return 1 and `*value`; 0 when nothing is known
 */
int etv_mirror_find(etv_mirror_t *mirror, etv_hash128_t key, apr_uint32_t epoch, apr_time_t now_us,
                    etv_mirror_value_t *value);

/**
 * The same of what had been remembered at an earlier moment. It was read before that then, not
 * only asked for: a request that began at that moment has not answered from older data.
 * @param by_us  that moment
 */
int etv_mirror_recall(etv_mirror_t *mirror, etv_hash128_t key, apr_uint32_t epoch,
                      apr_time_t now_us, apr_time_t by_us, etv_mirror_value_t *value);

/**
 * Remember a version. May be dropped: what is there may be worth more, or in the middle of a write.
 * @param epoch, generation  as they were before the version was asked for
 * @param now_us             before that, too; when it is installed the mirror knows by itself
 */
void etv_mirror_install(etv_mirror_t *mirror, etv_hash128_t key, apr_uint32_t epoch,
                        apr_uint64_t generation, etv_mirror_class_e class, apr_time_t now_us,
                        const etv_mirror_value_t *value);

#endif
