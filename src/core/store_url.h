/* SPDX-License-Identifier: Apache-2.0 */
/** The address of a version store as administrators write it. Pure. */
#ifndef ETV_CORE_STORE_URL_H
#define ETV_CORE_STORE_URL_H

#include <apr.h>
#include <apr_network_io.h>
#include <apr_pools.h>

typedef enum {
    ETV_STORE_URL_LOCAL, /**< `local` */
    /** `redis://[user:pass@]host[:port][/db]`, host may be [v6]; with TLS
     *  `rediss://[user:pass@]host[:port][/db][?ca=file&cert=file&key=file]` */
    ETV_STORE_URL_REDIS_TCP,
    ETV_STORE_URL_REDIS_UNIX, /**< `redis+unix://[user:pass@]/path[?db=N]` */
    /** `redis+sentinel://[user:pass@]host[:port][,host[:port]…]/master-name[/db]` */
    ETV_STORE_URL_REDIS_SENTINEL
} etv_store_url_kind_e;

/** Most sentinels of one address. */
#define ETV_STORE_URL_SENTINELS_MOST 16

typedef struct {
    const char *host; /**< without brackets */
    apr_port_t port;
} etv_store_host_t;

typedef struct {
    etv_store_url_kind_e kind;
    const char *user;     /**< percent-decoded; NULL when none */
    const char *password; /**< percent-decoded; NULL when none */
    const char *host;     /**< without brackets; NULL unless TCP */
    apr_port_t port;      /**< 6379 when not given */
    const char *path;     /**< of the unix socket, percent-decoded, absolute; NULL unless UNIX */
    int db;               /**< 0 when not given */
    int tls;              /**< 1: `rediss` */
    const char *ca;       /**< percent-decoded path of trusted certificates; NULL: the system's */
    const char *cert;     /**< path of the client's certificate; NULL: none */
    const char *key;      /**< path of its key; NULL unless `cert` */
    const etv_store_host_t *sentinels; /**< in the order given; NULL unless SENTINEL */
    int n_sentinels;
    const char *master;    /**< the name of the primary that sentinels know; NULL unless SENTINEL */
    const char *canonical; /**< the same address without credentials, for logs and as a scope */
} etv_store_url_t;

/**
 * Parse a store address. In user and password @ / ? # % are percent-encoded. A user may stand
 * without a password, which then comes from elsewhere; a password without a user (`:pass@`) is
 * redis' own AUTH. Schemes, `local` and host names are case-insensitive; two spellings of one
 * address have the same canonical form.
 * @param url  out: filled in, strings in `p`; undefined after an error
 * @return NULL when it is right; else a sentence in `p` that never repeats a password
 */
const char *etv_store_url_parse(apr_pool_t *p, const char *text, etv_store_url_t *url);

/**
 * The text with the password, if there is one, replaced by `***`; works on malformed text too. When
 * in doubt it hides too much: a user without a password, what stands in the place of a port but is
 * none, values of unknown parameters. @return the text itself when nothing is hidden
 */
const char *etv_store_url_redact(apr_pool_t *p, const char *text);

#endif
