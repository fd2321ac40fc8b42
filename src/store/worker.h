/* SPDX-License-Identifier: Apache-2.0 */
/** Threads of this process's own beside the server's. */
#ifndef ETV_STORE_WORKER_H
#define ETV_STORE_WORKER_H

#include <apr_errno.h>

/**
 * Start a detached thread in which all signals are blocked: they are the server's business.
 * @return APR_SUCCESS, or why there is no thread
 */
apr_status_t etv_worker_start(void *(*body)(void *), void *arg);

#endif
