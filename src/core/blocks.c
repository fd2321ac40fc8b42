/* SPDX-License-Identifier: Apache-2.0 */
#include "core/blocks.h"

#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Under the address sanitizer nobody may touch a kept block, nor anybody but this file a header. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define FORBID(memory, len) ASAN_POISON_MEMORY_REGION(memory, len)
#define ALLOW(memory, len)  ASAN_UNPOISON_MEMORY_REGION(memory, len)
#define TOUCH(memory)       ((void)*(volatile char *)(memory))
#else
#define FORBID(memory, len) ((void)(memory), (void)(len))
#define ALLOW(memory, len)  ((void)(memory), (void)(len))
#define TOUCH(memory)       ((void)(memory))
#endif

#ifndef MAP_POPULATE
#define MAP_POPULATE 0
#endif

/* At most so many blocks go back to the system while one is given back: a fraction of a
 * millisecond. */
#define PORTION 32

/* In front of what the caller sees, which begins with a cache line. */
typedef struct block_t block_t;
struct block_t {
    block_t *next;
    int large;
};
#define HEADER ((apr_size_t)64)
_Static_assert(sizeof(block_t) <= HEADER, "a header has room for a block's own fields");

/* Invariants: surplus <= least <= count, and used + kept <= limit unless the limit was lowered. */
typedef struct {
    block_t *first;
    apr_size_t count;
    apr_size_t least;   /* the lowest count in this period */
    apr_size_t surplus; /* not needed in the last period, and not since */
} kept_t;

static struct {
    pthread_mutex_t lock;
    apr_size_t limit, used; /* bytes */
    kept_t kept[2];         /* small, large */
    apr_uint32_t since_s;   /* when this period began */
    int all_large;
} blocks = {.lock = PTHREAD_MUTEX_INITIALIZER};

static apr_size_t size_of(int large)
{
    return large ? ETV_BLOCKS_LARGE : ETV_BLOCKS_SMALL;
}

/* --- the system ---------------------------------------------------------------------------------
 * Pages straight from the system, all at once: cheaper than a fault for each, and they really go
 * back, while what a heap gets back stays with the process beneath whatever was allocated later. */

static block_t *from_system(int large)
{
    block_t *block = mmap(NULL, size_of(large), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (block == MAP_FAILED) {
        return NULL;
    }
    block->large = large;
    return block;
}

static void to_system(block_t *block)
{
    while (block) {
        block_t *next = block->next;
        apr_size_t size = size_of(block->large);

        ALLOW(block, size);
        /* Where the system cannot split a mapping in two, at least its memory goes back. */
        if (munmap(block, size) != 0) {
            madvise(block, size, MADV_DONTNEED);
        }
        block = next;
    }
}

/* --- under the lock -----------------------------------------------------------------------------
 */

static apr_size_t kept_bytes(void)
{
    return blocks.kept[0].count * ETV_BLOCKS_SMALL + blocks.kept[1].count * ETV_BLOCKS_LARGE;
}

/* Whether so many bytes may be added to what is used and kept; safe against any limit. */
static int fits(apr_size_t size)
{
    apr_size_t all = blocks.used + kept_bytes();

    return all <= blocks.limit && size <= blocks.limit - all;
}

static block_t *take(kept_t *kept)
{
    block_t *block = kept->first;

    if (!block) {
        return NULL;
    }
    ALLOW(block, HEADER);
    kept->first = block->next;
    kept->count--;
    if (kept->least > kept->count) {
        kept->least = kept->count;
    }
    if (kept->surplus > kept->least) {
        kept->surplus = kept->least;
    }
    block->next = NULL;
    return block;
}

static void keep(block_t *block)
{
    kept_t *kept = &blocks.kept[block->large];

    block->next = kept->first;
    kept->first = block;
    kept->count++;
    FORBID(block, size_of(block->large));
}

static void push(block_t **list, block_t *block)
{
    block->next = *list;
    *list = block;
}

/* @return kept blocks that stand in the way of so many more bytes */
static block_t *make_room(apr_size_t size)
{
    block_t *gone = NULL, *block;

    while (!fits(size) && ((block = take(&blocks.kept[0])) || (block = take(&blocks.kept[1])))) {
        push(&gone, block);
    }
    return gone;
}

/* @return a portion of the kept blocks that were not needed in the last whole period */
static block_t *trim(apr_uint32_t now_s)
{
    block_t *gone = NULL;
    int left = PORTION;

    if (now_s - blocks.since_s >= ETV_BLOCKS_PERIOD_S) {
        blocks.since_s = now_s;
        for (int large = 0; large < 2; large++) {
            blocks.kept[large].surplus = blocks.kept[large].least;
            blocks.kept[large].least = blocks.kept[large].count;
        }
    }
    for (int large = 1; large >= 0; large--) {
        kept_t *kept = &blocks.kept[large];

        for (; kept->surplus && left; left--) {
            kept->surplus--;
            kept->least--;
            push(&gone, take(kept));
        }
    }
    return gone;
}

/* --- for all ------------------------------------------------------------------------------------
 */

void etv_blocks_limit(apr_size_t most)
{
    block_t *gone;
    long page = sysconf(_SC_PAGESIZE);

    pthread_mutex_lock(&blocks.lock);
    blocks.limit = most;
    blocks.all_large = page > (long)ETV_BLOCKS_SMALL;
    gone = make_room(0);
    pthread_mutex_unlock(&blocks.lock);
    to_system(gone);
}

void *etv_blocks_get(int large, apr_size_t *usable)
{
    block_t *block = NULL, *gone = NULL;
    apr_size_t size;
    int granted;

    pthread_mutex_lock(&blocks.lock);
    large = large || blocks.all_large;
    size = size_of(large);
    granted = blocks.used <= blocks.limit && size <= blocks.limit - blocks.used;
    if (granted) {
        block = take(&blocks.kept[large]);
        gone = make_room(size);
        blocks.used += size;
    }
    pthread_mutex_unlock(&blocks.lock);

    to_system(gone);
    if (granted && !block && !(block = from_system(large))) {
        pthread_mutex_lock(&blocks.lock);
        blocks.used -= size;
        pthread_mutex_unlock(&blocks.lock);
    }
    if (!block) {
        *usable = 0;
        return NULL;
    }
    *usable = size - HEADER;
    ALLOW(block, size);
    FORBID(block, HEADER);
    return (char *)block + HEADER;
}

void etv_blocks_give_at(void *data, apr_uint32_t now_s)
{
    void *start = (char *)data - HEADER;
    block_t *block = start, *gone;
    apr_size_t size;

    TOUCH(data); /* given back already? */
    ALLOW(block, HEADER);
    size = size_of(block->large);
    pthread_mutex_lock(&blocks.lock);
    blocks.used -= size;
    if (fits(size)) {
        keep(block);
        block = NULL;
    }
    gone = trim(now_s);
    if (block) {
        push(&gone, block);
    }
    pthread_mutex_unlock(&blocks.lock);
    to_system(gone);
}

void etv_blocks_give(void *data)
{
    struct timespec now;

#ifdef CLOCK_MONOTONIC_COARSE
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    etv_blocks_give_at(data, (apr_uint32_t)now.tv_sec);
}

apr_size_t etv_blocks_used(void)
{
    apr_size_t used;

    pthread_mutex_lock(&blocks.lock);
    used = blocks.used;
    pthread_mutex_unlock(&blocks.lock);
    return used;
}

apr_size_t etv_blocks_kept(void)
{
    apr_size_t kept;

    pthread_mutex_lock(&blocks.lock);
    kept = kept_bytes();
    pthread_mutex_unlock(&blocks.lock);
    return kept;
}
