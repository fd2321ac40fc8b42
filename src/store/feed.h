/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The newest bumps, in shared memory, for those who watch: a ring that any process writes to and
 * all read, each at its own pace. Whoever is too slow, or was away too long, is told that something
 * was missed. No locks; a writer that dies in the middle of it leaves one entry that is skipped.
 */
#ifndef ETV_STORE_FEED_H
#define ETV_STORE_FEED_H

#include <apr.h>
#include <apr_time.h>

#include "core/hash.h"
#include "core/model_name.h"

typedef struct etv_feed_t etv_feed_t;

/** Entries that are kept. A power of two. */
#define ETV_FEED_ENTRIES 4096

apr_size_t etv_feed_bytes(void);

/** Lay it out in zeroed memory that is aligned to 64 bytes, before the first fork. */
etv_feed_t *etv_feed_init(void *memory);

/** A number that tells this feed from every other one; part of event ids. */
apr_uint64_t etv_feed_nonce(const etv_feed_t *feed);

/** A model of a store (etv_server_t.scope, or the channel's name) was bumped: to be called after
 *  the store knows, so that who is told too late is not told wrongly. A name that is no model's
 *  length is ignored. */
void etv_feed_write(etv_feed_t *feed, etv_hash128_t scope, const char *name, apr_size_t len);

/** Bumps of that store may have been missed: whoever watches must look at everything. */
void etv_feed_write_gap(etv_feed_t *feed, etv_hash128_t scope);

/** The number that the next entry will have; numbers begin at 1. */
apr_uint64_t etv_feed_next(const etv_feed_t *feed);

typedef enum {
    ETV_FEED_BUMP, /**< name, len */
    ETV_FEED_GAP,  /**< something was missed */
    ETV_FEED_NONE  /**< nothing new */
} etv_feed_e;

typedef struct {
    apr_uint64_t number;
    etv_hash128_t scope; /**< of a gap: all zero when it is about all stores */
    apr_size_t len;
    char name[ETV_MODEL_NAME_MOST + 1]; /**< terminated */
} etv_feed_entry_t;

/**
 * The entry `*next`, of any store, and step on. A reader that is too far behind gets one GAP, and
 * goes on with the newest; an entry whose writer is not done within a second is a GAP, too.
 * @param next   at least 1; one that is still to come is NONE
 * @param entry  out, unless NONE; `number` is that of the last entry that is covered
 */
etv_feed_e etv_feed_read(etv_feed_t *feed, apr_uint64_t *next, etv_feed_entry_t *entry);

/** Sleep until there is something at `next`, or etv_feed_wake, or for that long. May return early.
 */
void etv_feed_await(etv_feed_t *feed, apr_uint64_t next, apr_interval_time_t most_us);

/** Wake all that sleep. Safe in signal handlers. */
void etv_feed_wake(etv_feed_t *feed);

#endif
