/* SPDX-License-Identifier: Apache-2.0 */
/** A mirror in memory that forked processes share, and how much a test may do where all is slow. */
#ifndef ETV_TESTS_UNIT_MIRROR_FIXTURE_H
#define ETV_TESTS_UNIT_MIRROR_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_DISABLE_ERROR_REPORTING
#define VALGRIND_ENABLE_ERROR_REPORTING
#endif

#include "store/boottime.h"
#include "store/mirror.h"

/** `n`, or a tenth of it where everything is slow: under valgrind, with the thread sanitizer. */
static inline int etv_some(int n)
{
#ifdef __SANITIZE_THREAD__
    return (n + 9) / 10;
#else
    return RUNNING_ON_VALGRIND ? (n + 9) / 10 : n;
#endif
}

/** Never unmapped: a thread remembers what it knows of a channel by its address. */
static inline etv_mirror_t *etv_make_mirror(int entries)
{
    void *memory = mmap(NULL, etv_mirror_bytes(entries), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(memory, MAP_FAILED);
    return etv_mirror_init(memory, entries);
}

static inline etv_channel_t *etv_make_channel(etv_mirror_t *mirror)
{
    etv_channel_t *channel = etv_mirror_channel(mirror, etv_hash_name("channel", 7));

    ck_assert_ptr_nonnull(channel);
    return channel;
}

#endif
