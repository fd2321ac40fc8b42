/* SPDX-License-Identifier: Apache-2.0 */
/* From an address to a connection that is logged in and in its database. */
#include <apr_strings.h>
#include <netdb.h>
#include <string.h>

#include "store/boottime.h"
#include "store/redis_store.h"

/** All replies of the handshake together; INFO's is the large one. */
#define HANDSHAKE_BYTES_MOST 65536

typedef enum { STEP_AUTH, STEP_SELECT, STEP_INFO, STEPS } step_e;

static const char *const step_name[STEPS] = {"AUTH", "SELECT", "INFO"};

static const char *password_of(const etv_redis_t *r)
{
    return r->config.password ? r->config.password : r->config.url->password;
}

/** Write the commands into `out` and their order into `steps`. @return their number */
static apr_size_t write_handshake(const etv_redis_t *r, etv_resp_out_t *out, step_e steps[STEPS])
{
    const char *user = r->config.url->user;
    const char *password = password_of(r);
    apr_size_t n = 0;

    if (user || password) {
        etv_resp_out_command(out, user ? 3 : 2);
        etv_resp_out_text(out, "AUTH");
        if (user) {
            etv_resp_out_text(out, user);
        }
        etv_resp_out_text(out, password ? password : "");
        steps[n++] = STEP_AUTH;
    }
    if (r->config.url->db) {
        char db[16];

        apr_snprintf(db, sizeof(db), "%d", r->config.url->db);
        etv_resp_out_command(out, 2);
        etv_resp_out_text(out, "SELECT");
        etv_resp_out_text(out, db);
        steps[n++] = STEP_SELECT;
    }
    etv_resp_out_command(out, 2);
    etv_resp_out_text(out, "INFO");
    etv_resp_out_text(out, "memory");
    steps[n++] = STEP_INFO;
    return n;
}

/** Counters repeat once a key was evicted; said once in the life of the process. */
static void check_policy(etv_redis_t *r, const etv_resp_t *info)
{
    static const char name[] = "\nmaxmemory_policy:";
    const char *policy = info->type == ETV_RESP_STRING ? strstr(info->str, name) : NULL;

    if (policy) {
        policy += sizeof(name) - 1;
        if (strncmp(policy, "noeviction", 10) && !atomic_exchange(&r->policy_warned, 1)) {
            etv_redis_say(&r->log, ETV_REDIS_SAYS_POLICY, ETV_LOG_WARNING, APR_SUCCESS,
                          "%s: maxmemory_policy is %.*s: a version that was evicted and counted up "
                          "again may repeat; bare counters need noeviction",
                          r->shown, (int)strspn(policy, "abcdefghijklmnopqrstuvwxyz-"), policy);
        }
    }
}

/** @return ETV_GIVE_SOUND, or what the logged failure says */
static etv_give_e shake_hands(etv_redis_t *r, etv_redis_conn_t *c, apr_time_t deadline_us)
{
    step_e steps[STEPS];
    apr_size_t n = write_handshake(r, &c->out, steps);
    etv_resp_t **replies = NULL;
    etv_conn_e state = etv_redis_conn_exchange(c, n, HANDSHAKE_BYTES_MOST, deadline_us, &replies);

    if (state == ETV_CONN_LOST && c->replied && replies[0]->type == ETV_RESP_ERROR) {
        /* One sentence for all, then closed: protected mode, too many clients. */
        return etv_redis_refused(r, step_name[steps[0]], replies[0]);
    }
    if (state != ETV_CONN_OK) {
        return etv_redis_exchange_failed(r, c, state);
    }
    for (apr_size_t i = 0; i < n; i++) {
        if (replies[i]->type == ETV_RESP_ERROR) {
            etv_redis_refused(r, step_name[steps[i]], replies[i]);
            c->status = APR_EACCES;
            return ETV_GIVE_DROP;
        }
    }
    check_policy(r, replies[n - 1]);
    return ETV_GIVE_SOUND;
}

/** The host that the certificate must be for. With a cluster, a node proves either that it is the
 * configured host or that it is the one that another node, which had proved itself, named. */
static etv_conn_e secure(const etv_redis_t *r, etv_redis_conn_t *c, const etv_cluster_node_t *node,
                         apr_time_t deadline_us)
{
    const char *host = r->config.url->host;

    return node ? etv_redis_conn_secure(c, r->config.tls, node->host, host, deadline_us)
                : etv_redis_conn_secure(c, r->config.tls, host, NULL, deadline_us);
}

/** Where to, and for whom. */
typedef struct {
    etv_redis_t *r;
    const etv_cluster_node_t *node; /* whose address it is; NULL: the configured one */
    const etv_conn_watch_t *watch;
} way_t;

/** Connect, and speak TLS where the address says so: never in plain text instead. */
static etv_conn_e reach(const way_t *way, etv_redis_conn_t *c, const etv_redis_addr_t *addr,
                        apr_time_t deadline_us)
{
    etv_redis_t *r = way->r;
    etv_conn_e state;

    if (r->config.url->tls && !r->config.tls) {
        c->why = "there are no certificates";
        c->status = APR_EGENERAL;
        return ETV_CONN_TLS;
    }
    state = etv_redis_conn_open(c, addr, deadline_us);
    return state == ETV_CONN_OK && r->config.tls ? secure(r, c, way->node, deadline_us) : state;
}

/** Try one address. @return APR_SUCCESS; `*final` when another address would not do better */
static apr_status_t open_one(const way_t *way, const etv_redis_addr_t *addr, apr_time_t deadline_us,
                             etv_redis_conn_t **conn, int *final)
{
    etv_redis_t *r = way->r;
    etv_redis_conn_t *c = etv_redis_conn_make();
    apr_status_t status;
    etv_conn_e state;

    if (!c) {
        *final = 1;
        return APR_ENOMEM;
    }
    c->watch = way->watch;
    c->node = way->node ? way->node->serial : 0;
    state = reach(way, c, addr, deadline_us);
    if (state == ETV_CONN_OK) {
        etv_give_e how = shake_hands(r, c, deadline_us);

        if (how == ETV_GIVE_SOUND) {
            *conn = c;
            return APR_SUCCESS;
        }
        *final = how == ETV_GIVE_DROP;
    } else if (state == ETV_CONN_STOPPED) {
        *final = 1;
    } else if (state == ETV_CONN_TLS) {
        etv_redis_exchange_failed(r, c, state);
    } else {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_CONNECT, ETV_LOG_WARNING, c->status,
                      "%s: cannot connect%s", r->shown,
                      way->node ? " to the node of the cluster that has the versions" : "");
    }
    status = c->status;
    etv_redis_conn_free(c);
    return status ? status : APR_EGENERAL;
}

/** Try all addresses that a resolver knows. @return APR_EAGAIN when it does not know yet */
static apr_status_t open_any(const way_t *way, etv_resolver_t *resolver, apr_time_t deadline_us,
                             etv_redis_conn_t **conn)
{
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    apr_status_t status = APR_TIMEUP;
    int error = 0;
    int final = 0;
    /* A thread with a watch must not wait where nothing can wake it. */
    int n = etv_resolver_addrs(resolver, way->watch ? 0 : deadline_us, addrs, &error);

    if (!n && etv_resolver_doubt(resolver)) {
        etv_redis_say_doubt(way->r);
        return APR_EGENERAL;
    }
    if (!n && way->watch && !error) {
        return APR_EAGAIN; /* soon */
    }
    if (!n) {
        etv_resolver_kick(resolver);
        etv_redis_say(&way->r->log, ETV_REDIS_SAYS_RESOLVE, ETV_LOG_WARNING, APR_EGENERAL,
                      "%s: no address yet: %s", way->r->shown,
                      error ? gai_strerror(error) : "the name is still being resolved");
        return error ? APR_EGENERAL : APR_EAGAIN;
    }
    for (int i = 0; i < n && !final; i++) {
        apr_time_t now = etv_boottime_us();

        if (now >= deadline_us) {
            break;
        }
        /* An address that swallows everything must leave time for the others. */
        status = open_one(way, &addrs[i], now + (deadline_us - now) / (n - i), conn, &final);
        if (status == APR_SUCCESS) {
            return status;
        }
    }
    etv_resolver_kick(resolver);
    return status;
}

apr_status_t etv_redis_open_watched(etv_redis_t *r, const etv_redis_addr_t *at,
                                    const etv_conn_watch_t *watch, apr_time_t deadline_us,
                                    etv_redis_conn_t **conn)
{
    etv_cluster_node_t *node = etv_redis_cluster_node(&r->cluster);
    way_t way = {.r = r, .node = node, .watch = watch};
    apr_status_t status = APR_EGENERAL;
    int final = 0;

    if (at) { /* where a connection that the same thread has leads to */
        status = open_one(&way, at, deadline_us, conn, &final);
        etv_redis_cluster_release(node);
        return status;
    }
    if (node) {
        apr_time_t now = etv_boottime_us();

        status = open_any(&way, node->resolver, now + (deadline_us - now) / 2, conn);
        if (status != APR_SUCCESS && status != APR_EAGAIN) { /* whose name may be known soon */
            etv_redis_cluster_unreachable(&r->cluster, node);
        }
        etv_redis_cluster_release(node);
        way.node = NULL;
    }
    return status == APR_SUCCESS ? status : open_any(&way, r->resolver, deadline_us, conn);
}

apr_status_t etv_redis_open(void *store, apr_time_t deadline_us, etv_redis_conn_t **conn)
{
    return etv_redis_open_watched(store, NULL, NULL, deadline_us, conn);
}
