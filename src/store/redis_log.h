/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the Redis store says, one line per kind within ten seconds. Texts come from here and never
 * from the server: its error texts repeat arguments, and those may be credentials.
 */
#ifndef ETV_STORE_REDIS_LOG_H
#define ETV_STORE_REDIS_LOG_H

#include <apr_time.h>
#include <pthread.h>

#include "store/store.h"

/** Lines of one kind are at least so far apart. */
#define ETV_REDIS_LOG_QUIET_US apr_time_from_sec(10)

/** Kinds; the numbers are those of the tags, counted from ETV0101. */
typedef enum {
    ETV_REDIS_SAYS_CONNECT,   /**< 0101 */
    ETV_REDIS_SAYS_RESOLVE,   /**< 0102 */
    ETV_REDIS_SAYS_AUTH,      /**< 0103 */
    ETV_REDIS_SAYS_SELECT,    /**< 0104 */
    ETV_REDIS_SAYS_ACL,       /**< 0105 */
    ETV_REDIS_SAYS_ROLE,      /**< 0106 */
    ETV_REDIS_SAYS_TIMEOUT,   /**< 0107 */
    ETV_REDIS_SAYS_LOST,      /**< 0108 */
    ETV_REDIS_SAYS_GARBLED,   /**< 0109 */
    ETV_REDIS_SAYS_OVERSIZE,  /**< 0110 */
    ETV_REDIS_SAYS_LOADING,   /**< 0111 */
    ETV_REDIS_SAYS_READONLY,  /**< 0112 */
    ETV_REDIS_SAYS_ERROR,     /**< 0113 */
    ETV_REDIS_SAYS_SECRET,    /**< 0114 */
    ETV_REDIS_SAYS_EPOCH,     /**< 0115 */
    ETV_REDIS_SAYS_POLICY,    /**< 0116 */
    ETV_REDIS_SAYS_PAUSED,    /**< 0117 */
    ETV_REDIS_SAYS_BACK,      /**< 0118 */
    ETV_REDIS_SAYS_EXHAUSTED, /**< 0119 */
    ETV_REDIS_SAYS_UNSTEADY,  /**< 0120 */
    ETV_REDIS_SAYS_IDENTITY,  /**< 0121 */
    ETV_REDIS_SAYS_DOUBT,     /**< 0122 */
    ETV_REDIS_SAYS_UNWATCHED, /**< 0123 */
    ETV_REDIS_SAYS_NAMED,     /**< 0124 */
    ETV_REDIS_SAYS_TLS,       /**< 0125 */
    ETV_REDIS_SAYS_MOVED,     /**< 0126 */
    ETV_REDIS_SAYS_SLOTS,     /**< 0127 */
    ETV_REDIS_SAYS_CLUSTER,   /**< 0128 */
    ETV_REDIS_SAYS_ASTRAY,    /**< 0129 */
    ETV_REDIS_SAYS_PUSHED,    /**< 0130 */
    ETV_REDIS_SAYS_UNPUSHED,  /**< 0131 */
    ETV_REDIS_SAYS_NO_PUSHES, /**< 0132 */
    ETV_REDIS_SAYS_LEADS,     /**< 0133 */
    ETV_REDIS_SAYS_TWO,       /**< 0134 */
    ETV_REDIS_SAYS_TOO_MANY,  /**< 0135 */
    ETV_REDIS_SAYS_DEAF,      /**< 0136 */
    ETV_REDIS_SAYS_UNUSED = 38,
    ETV_REDIS_SAYS_FOREIGN,   /**< 0140 */
    ETV_REDIS_SAYS_RESCUED,   /**< 0141 */
    ETV_REDIS_SAYS_CONTENDED, /**< 0142 */
    ETV_REDIS_SAYS_KINDS
} etv_redis_says_e;

typedef struct {
    etv_log_t to;
    pthread_mutex_t lock;
    struct {
        apr_time_t quiet_until_us; /* lock */
        unsigned suppressed;       /* lock */
    } kind[ETV_REDIS_SAYS_KINDS];
} etv_redis_log_t;

/** @return APR_SUCCESS, or why no lock could be made */
apr_status_t etv_redis_log_init(etv_redis_log_t *log, const etv_log_t *to);

/** Write a line, or count it as suppressed. Thread-safe. */
void etv_redis_say(etv_redis_log_t *log, etv_redis_says_e kind, etv_log_level_e level,
                   apr_status_t status, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
