/* SPDX-License-Identifier: Apache-2.0 */
#include "store/worker.h"

#include <pthread.h>
#include <signal.h>

apr_status_t etv_worker_start(void *(*body)(void *), void *arg)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    int rv = pthread_attr_init(&attr);

    if (rv)
        return APR_FROM_OS_ERROR(rv);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all); /* the thread inherits the mask */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rv = pthread_create(&thread, &attr, body, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return APR_FROM_OS_ERROR(rv);
}
