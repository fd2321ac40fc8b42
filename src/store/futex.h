/* SPDX-License-Identifier: Apache-2.0 */
/** Sleeping, and waking others, at a word in memory that processes share. */
#ifndef ETV_STORE_FUTEX_H
#define ETV_STORE_FUTEX_H

#include <apr.h>
#include <apr_time.h>
#include <stdatomic.h>

/** Sleep until the word is no longer `seen` and somebody has said so, or for that long. May return
 *  early; at once when the word has changed already. */
void etv_futex_await(_Atomic apr_uint32_t *word, apr_uint32_t seen, apr_interval_time_t most_us);

/** Change the word, and wake all that sleep at it. Safe in signal handlers. */
void etv_futex_wake(_Atomic apr_uint32_t *word);

#endif
