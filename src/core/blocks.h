/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The memory of buffered bodies: blocks of two sizes, counted against one limit for the whole
 * process, and kept for reuse. Giving large buffers back to the system after every response and
 * asking for them again costs a page fault for each 4 KB, which is most of the cost of buffering.
 *
 * Safe in any thread. A block counts until it is given back, wherever it travelled meanwhile (a
 * bucket that waits for a slow client). Used and kept bytes together stay within the limit. What
 * was not needed for a while goes back to the system, in small portions, while blocks are given
 * back: a process that comes to rest at once keeps what it has until it works again.
 */
#ifndef ETV_CORE_BLOCKS_H
#define ETV_CORE_BLOCKS_H

#include <apr.h>

#define ETV_BLOCKS_SMALL ((apr_size_t)16384)
#define ETV_BLOCKS_LARGE ((apr_size_t)65536)

/** Kept blocks that were never needed in so long a period may go. */
#define ETV_BLOCKS_PERIOD_S 5

/**
 * Set the limit in bytes; counts apply from then on. Call before threads start. A lower limit takes
 * no block away from its user. Before the first call there are no blocks to be had.
 */
void etv_blocks_limit(apr_size_t most);

/**
 * A block of ETV_BLOCKS_SMALL or ETV_BLOCKS_LARGE bytes in all, of which *usable may be used
 * (a header in front of it, out of the caller's sight, makes up the rest). The bytes hold
 * whatever they held before. Where a page of the system is larger than a small block, all are
 * large.
 * @return NULL when the limit would be exceeded, or there is no memory; *usable is 0 then
 */
void *etv_blocks_get(int large, apr_size_t *usable);

/** Give back what etv_blocks_get returned; has the signature of a bucket's free function. */
void etv_blocks_give(void *block);

/** etv_blocks_give at a given time, in seconds of a clock that may begin anywhere: for tests. */
void etv_blocks_give_at(void *block, apr_uint32_t now_s);

/** Bytes that count against the limit now. */
apr_size_t etv_blocks_used(void);

/** Bytes that are kept for reuse and do not count. */
apr_size_t etv_blocks_kept(void);

#endif
