/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The configuration: what the directives say, how sections merge, and what holds when nothing was
 * said. Fields are read through the getters below, the only place where defaults are written.
 */
#ifndef ETV_HTTPD_CONFIG_H
#define ETV_HTTPD_CONFIG_H

#include <httpd.h>
#include <http_config.h>
#include <apr_tables.h>

#include "httpd/list.h"
#include "httpd/patterns.h"
#include "core/store_url.h"
#include "store/channel.h"
#include "store/redis_tls.h"
#include "store/store.h"

extern module AP_MODULE_DECLARE_DATA etag_version_module;

#define ETV_UNSET (-1)

typedef enum {
    ETV_MODE_OFF,
    ETV_MODE_ON,
    ETV_MODE_VERSION,
    ETV_MODE_CONTENT,
    ETV_MODE_HEADERS
} etv_mode_e;
typedef enum { ETV_HEAD_OFF, ETV_HEAD_AS_GET } etv_head_e;
typedef enum { ETV_STRENGTH_DEFAULT, ETV_STRENGTH_WEAK, ETV_STRENGTH_STRONG } etv_strength_e;
typedef enum { ETV_UPSTREAM_KEEP, ETV_UPSTREAM_REPLACE } etv_upstream_e;
typedef enum { ETV_MISSING_INITIALIZE, ETV_MISSING_SKIP } etv_missing_e;
typedef enum { ETV_SWITCH_OFF, ETV_SWITCH_ON } etv_switch_e;
typedef enum {
    ETV_PRECONDITIONS_OFF,
    ETV_PRECONDITIONS_CHECK,
    ETV_PRECONDITIONS_REQUIRE
} etv_preconditions_e;
/** ETagVersionServe: the handlers that are open. */
enum { ETV_SERVE_ADMIN = 1, ETV_SERVE_EVENTS = 2, ETV_SERVE_STATUS = 4 };
/** Kinds of items of ETagVersionInvalidate: a name, or all of ETagVersionModels. */
enum { ETV_INVALIDATE_NAME, ETV_INVALIDATE_MODELS };
typedef enum { ETV_POLICY_MERGE, ETV_POLICY_SET, ETV_POLICY_IFUNSET } etv_policy_mode_e;

/** A Cache-Control policy. */
typedef struct {
    etv_policy_mode_e mode;
    const char *directives; /**< normalised; NULL for an explicit `none` */
} etv_policy_t;

/*
 * Every field of the per-directory configuration: INT, DURATION and POINTER are inherited when
 * unset, a LIST is edited by the child (httpd/list.h), and so are PATTERNS. Creation and merging
 * are made from this list, so that no field can be forgotten in one of them.
 */
#define ETV_DIR_FIELDS(INT, POINTER, LIST, DURATION, PATTERNS)                                     \
    INT(mode)                                                                                      \
    INT(strength)                                                                                  \
    INT(upstream)                                                                                  \
    INT(missing)                                                                                   \
    INT(head)                                                                                      \
    INT(invalidate_require)                                                                        \
    INT(preconditions)                                                                             \
    INT(serve)                                                                                     \
    INT(graphql_post)                                                                              \
    DURATION(settle_us)                                                                            \
    POINTER(const etv_item_t, salt)                                                                \
    POINTER(const etv_policy_t, policy)                                                            \
    POINTER(const etv_policy_t, policy_unsafe)                                                     \
    POINTER(const char, models_header)                                                             \
    POINTER(const char, invalidate_header)                                                         \
    LIST(models)                                                                                   \
    LIST(identity)                                                                                 \
    LIST(vary)                                                                                     \
    LIST(types)                                                                                    \
    LIST(headers)                                                                                  \
    LIST(invalidate)                                                                               \
    LIST(tag_header)                                                                               \
    PATTERNS(graphql)

typedef struct {
#define ETV_INT(name)           int name;
#define ETV_POINTER(type, name) type *name;
#define ETV_LIST(name)          etv_list_t name;
#define ETV_DURATION(name)      apr_interval_time_t name;
#define ETV_PATTERNS(name)      etv_patterns_t name;
    ETV_DIR_FIELDS(ETV_INT, ETV_POINTER, ETV_LIST, ETV_DURATION, ETV_PATTERNS)
#undef ETV_PATTERNS
#undef ETV_INT
#undef ETV_POINTER
#undef ETV_LIST
#undef ETV_DURATION
} etv_dir_t;

/** The same for the per-server configuration. */
#define ETV_SERVER_FIELDS(POINTER, DURATION)                                                       \
    POINTER(const etv_store_url_t, store_url)                                                      \
    POINTER(const char, store_password)                                                            \
    POINTER(const char, prefix)                                                                    \
    POINTER(const unsigned char, secret)                                                           \
    DURATION(connect_timeout_us)                                                                   \
    DURATION(command_timeout_us)                                                                   \
    DURATION(lease_us)

typedef struct {
#define ETV_POINTER(type, name) type *name;
#define ETV_DURATION(name)      apr_interval_time_t name;
    ETV_SERVER_FIELDS(ETV_POINTER, ETV_DURATION)
#undef ETV_POINTER
#undef ETV_DURATION
    etv_redis_tls_t *tls;                /**< made in check_config; NULL without `rediss` */
    etv_store_t *store;                  /**< made in child_init */
    etv_channel_t *channel;              /**< made in post_config; NULL under `strict` */
    etv_hash128_t channel_name;          /**< of it */
    etv_hash128_t scope;                 /**< of store and prefix, made in child_init */
    const unsigned char *fixed_key;      /**< for tags; made in child_init; NULL as the following */
    const unsigned char *content_secret; /**< made in child_init; NULL where the store keeps it */
    unsigned char kept_secret[ETV_SECRET_BYTES]; /**< what the store kept when it was last asked */
    int has_kept_secret;
    _Atomic apr_int64_t ask_secret_us; /**< when it shall be asked again */
    const char *vhost; /**< what tells a virtual host apart (life.c); NULL for the main server */
} etv_server_t;

void *etv_config_create_dir(apr_pool_t *p, char *path);
void *etv_config_merge_dir(apr_pool_t *p, void *base, void *add);
void *etv_config_create_server(apr_pool_t *p, server_rec *s);
void *etv_config_merge_server(apr_pool_t *p, void *base, void *add);

/** The configuration that is in force for a request or server; lives as long as it does. */
static inline etv_dir_t *etv_config_dir(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &etag_version_module);
}

static inline etv_server_t *etv_config_server(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &etag_version_module);
}

static inline int etv_config_is_on(const etv_dir_t *dir)
{
    return dir->mode > ETV_MODE_OFF; /* unset is less */
}

static inline int etv_config_uses_versions(const etv_dir_t *dir)
{
    return dir->mode == ETV_MODE_VERSION || dir->mode == ETV_MODE_ON;
}

static inline int etv_config_uses_content(const etv_dir_t *dir)
{
    return dir->mode == ETV_MODE_CONTENT || dir->mode == ETV_MODE_ON;
}

static inline int etv_config_uses_headers(const etv_dir_t *dir)
{
    return dir->mode == ETV_MODE_HEADERS;
}

/** Whether version and header tags are weak, which is their default. */
static inline int etv_config_weak(const etv_dir_t *dir)
{
    return dir->strength != ETV_STRENGTH_STRONG;
}

/** Whether content tags are weak; strong is their default. */
static inline int etv_config_weak_content(const etv_dir_t *dir)
{
    return dir->strength == ETV_STRENGTH_WEAK;
}

static inline int etv_config_head_as_get(const etv_dir_t *dir)
{
    return dir->head == ETV_HEAD_AS_GET;
}

/** What a Content-Type is for content tags. */
typedef enum {
    ETV_TYPE_OTHER,   /**< ETagVersionTypes does not name it */
    ETV_TYPE_COVERED, /**< it does */
    ETV_TYPE_STREAM   /**< it is one that is never held back */
} etv_type_e;

etv_type_e etv_config_type(apr_pool_t *p, const etv_dir_t *dir, const char *content_type);

/** ETagVersionHeaders: the names whose values a header tag is made of. */
const etv_item_t *etv_config_headers(apr_pool_t *p, const etv_dir_t *dir, int *n);

static inline int etv_config_replaces_upstream(const etv_dir_t *dir)
{
    return dir->upstream == ETV_UPSTREAM_REPLACE;
}

static inline int etv_config_initializes(const etv_dir_t *dir)
{
    return dir->missing != ETV_MISSING_SKIP;
}

/** ETagVersionModelsHeader, ETagVersionInvalidateHeader: NULL when off. */
static inline const char *etv_config_models_header(const etv_dir_t *dir)
{
    return dir->models_header && *dir->models_header ? dir->models_header : NULL;
}

static inline const char *etv_config_invalidate_header(const etv_dir_t *dir)
{
    return dir->invalidate_header && *dir->invalidate_header ? dir->invalidate_header : NULL;
}

static inline int etv_config_requires_bump(const etv_dir_t *dir)
{
    return dir->invalidate_require == ETV_SWITCH_ON;
}

static inline int etv_config_checks_preconditions(const etv_dir_t *dir)
{
    return dir->preconditions > ETV_PRECONDITIONS_OFF;
}

static inline int etv_config_requires_preconditions(const etv_dir_t *dir)
{
    return dir->preconditions == ETV_PRECONDITIONS_REQUIRE;
}

/** Whether a place is one of GraphQL: what a response depends on is told by its operations. */
static inline int etv_config_is_graphql(const etv_dir_t *dir)
{
    return etv_patterns_any(&dir->graphql);
}

static inline int etv_config_posts_queries(const etv_dir_t *dir)
{
    return dir->graphql_post == ETV_SWITCH_ON;
}

/** @param what  ETV_SERVE_… */
static inline int etv_config_serves(const etv_dir_t *dir, int what)
{
    return dir->serve != ETV_UNSET && (dir->serve & what);
}

static inline apr_interval_time_t etv_config_settle_us(const etv_dir_t *dir)
{
    return dir->settle_us == ETV_UNSET ? 0 : dir->settle_us;
}

const char *etv_config_prefix(const etv_server_t *server);
const etv_store_url_t *etv_config_store_url(const etv_server_t *server);
apr_interval_time_t etv_config_connect_timeout_us(const etv_server_t *server);
apr_interval_time_t etv_config_command_timeout_us(const etv_server_t *server);

#define ETV_LEASE_DEFAULT_US apr_time_from_sec(1)

/** ETagVersionFreshness: the lease, or 0 under `strict`. */
apr_interval_time_t etv_config_lease_us(const etv_server_t *server);
/** How long what was found true once is taken as true: the lease, under `strict` the default. */
apr_interval_time_t etv_config_trust_us(const etv_server_t *server);

#define ETV_TABLE_SIZE_DEFAULT 16384

/** ETagVersionTableSize, which is global; reset before each reading of the configuration. */
int etv_config_table_size(void);
void etv_config_set_table_size(int entries);

#define ETV_BUFFER_RESPONSE_DEFAULT ((apr_off_t)8 << 20)
#define ETV_BUFFER_PROCESS_DEFAULT  ((apr_size_t)256 << 20)

/** ETagVersionBufferLimit, in bytes; global and reset like the above. */
typedef struct {
    apr_off_t response;
    apr_size_t process;
} etv_buffer_limit_t;

const etv_buffer_limit_t *etv_config_buffer_limit(void);
void etv_config_set_buffer_limit(etv_buffer_limit_t limit);

/** Or less, where there are not so many workers (httpd/events_limit.h). */
#define ETV_EVENTS_LIMIT_DEFAULT 32

/** ETagVersionEventsLimit, or ETV_UNSET; global and reset like the above. */
int etv_config_events_limit(void);
void etv_config_set_events_limit(int streams);

/** Whether any directive makes this server bump by itself; global and reset like the above. */
int etv_config_changes(void);
void etv_config_set_changes(void);
/** Put the global ones back to their defaults: before each reading of the configuration. */
void etv_config_reset(void);

/** The directives (httpd/directives.c). */
extern const command_rec etv_directives[];

#endif
