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

/** Try one address. @return APR_SUCCESS; `*final` when another address would not do better */
static apr_status_t open_one(etv_redis_t *r, const etv_redis_addr_t *addr, apr_time_t deadline_us,
                             etv_redis_conn_t **conn, int *final)
{
    etv_redis_conn_t *c = etv_redis_conn_make();
    apr_status_t status;

    if (!c) {
        *final = 1;
        return APR_ENOMEM;
    }
    if (etv_redis_conn_open(c, addr, deadline_us) != ETV_CONN_OK) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_CONNECT, ETV_LOG_WARNING, c->status,
                      "%s: cannot connect", r->shown);
    } else {
        etv_give_e how = shake_hands(r, c, deadline_us);

        if (how == ETV_GIVE_SOUND) {
            *conn = c;
            return APR_SUCCESS;
        }
        *final = how == ETV_GIVE_DROP;
    }
    status = c->status;
    etv_redis_conn_free(c);
    return status ? status : APR_EGENERAL;
}

apr_status_t etv_redis_open(void *store, apr_time_t deadline_us, etv_redis_conn_t **conn)
{
    etv_redis_t *r = store;
    etv_redis_addr_t addrs[ETV_RESOLVER_MOST];
    apr_status_t status = APR_TIMEUP;
    int error = 0;
    int final = 0;
    int n = etv_resolver_addrs(r->resolver, deadline_us, addrs, &error);

    if (!n) {
        etv_resolver_kick(r->resolver);
        etv_redis_say(&r->log, ETV_REDIS_SAYS_RESOLVE, ETV_LOG_WARNING, APR_EGENERAL,
                      "%s: no address yet: %s", r->shown,
                      error ? gai_strerror(error) : "the name is still being resolved");
        return APR_EGENERAL;
    }
    for (int i = 0; i < n && !final; i++) {
        apr_time_t now = etv_boottime_us();

        if (now >= deadline_us) {
            break;
        }
        /* An address that swallows everything must leave time for the others. */
        status = open_one(r, &addrs[i], now + (deadline_us - now) / (n - i), conn, &final);
        if (status == APR_SUCCESS) {
            return status;
        }
    }
    etv_resolver_kick(r->resolver);
    return status;
}
