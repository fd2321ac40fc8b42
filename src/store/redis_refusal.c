/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, in sentences for the administrator. The first word of an error reply is a code
 * that Redis documents; the rest may repeat arguments, so it is never shown. */
#include <string.h>

#include "store/redis_store.h"

#define CODE_MOST 24

/** The first word of an error, if it looks like a code; of the inner one where EXEC was refused. */
static void code_of(const etv_resp_t *error, char code[CODE_MOST])
{
    static const char aborted[] = "EXECABORT Transaction discarded because of: ";
    const char *text = error->str;
    apr_size_t i;

    if (strncmp(text, aborted, sizeof(aborted) - 1) == 0) {
        text += sizeof(aborted) - 1;
    }
    for (i = 0; i < CODE_MOST - 1 && text[i] >= 'A' && text[i] <= 'Z'; i++) {
        code[i] = text[i];
    }
    code[i] = '\0';
    if (!i) {
        memcpy(code, "ERR", 4);
    }
}

static int code_in(const char *code, const char *const *list)
{
    while (*list && strcmp(*list, code)) {
        list++;
    }
    return *list != NULL;
}

static etv_give_e no_permission(etv_redis_t *r, const char *command)
{
    static const char *const changes[] = {"SADD", "SREM", "SRANDMEMBER", "WATCH", "UNWATCH", NULL};
    static const char *const keys[] = {"MGET", "SET", NULL};
    int of_changes = code_in(command, changes);

    etv_redis_say(&r->log, ETV_REDIS_SAYS_ACL, ETV_LOG_ERR, APR_EACCES,
                  "%s: the user may not run %s: %s. Its ACL needs ~%s* +multi +exec +mget +set "
                  "+exists +role +info +sadd +srem +srandmember +watch +unwatch%s",
                  r->shown, command,
                  of_changes ? "other hosts are not told of changes under way" : "no versions",
                  r->config.prefix, r->config.url->db ? " +select" : "");
    /* A key that is out of bounds concerns one lookup, a command of every lookup all of them. */
    return of_changes || code_in(command, keys) ? ETV_GIVE_DROP : ETV_GIVE_FAILED;
}

int etv_redis_moved(etv_redis_t *r, const etv_redis_conn_t *c, const etv_resp_t *error,
                    etv_give_e *give)
{
    static const char moved[] = "MOVED ";
    /* Nobody used this connection yet, and it was made because another node named this one. */
    int again = c->node && !c->reused && !c->identity_len;

    if (strncmp(error->str, moved, sizeof(moved) - 1) != 0) {
        return 0;
    }
    *give = ETV_GIVE_FAILED;
    switch (etv_redis_cluster_follow(&r->cluster, error->str, &c->peer)) {
    case ETV_CLUSTER_ASTRAY:
        etv_redis_say(
            &r->log, ETV_REDIS_SAYS_ASTRAY, ETV_LOG_ERR, APR_EGENERAL,
            "%s: another node of the cluster has the versions, and the one that was asked "
            "does not know its address (cluster-announce-ip, "
            "cluster-announce-hostname): no versions",
            r->shown);
        break;
    case ETV_CLUSTER_DOWN: /* which was logged when it was found out */
        break;
    case ETV_CLUSTER_FOLLOWS:
        if (again) {
            etv_redis_say(&r->log, ETV_REDIS_SAYS_ASTRAY, ETV_LOG_WARNING, APR_EGENERAL,
                          "%s: the nodes of the cluster do not agree about who has the versions",
                          r->shown);
        } else {
            etv_redis_say(&r->log, ETV_REDIS_SAYS_MOVED, ETV_LOG_INFO, APR_SUCCESS,
                          "%s: another node of the cluster has the versions, and is asked from now "
                          "on",
                          r->shown);
            *give = ETV_GIVE_STALE;
        }
        break;
    }
    return 1;
}

/** What only a Redis Cluster says. @return 1 and *give, logged; 0: something else */
static int cluster_refused(etv_redis_t *r, const char *command, const char *code,
                           const etv_resp_t *error, etv_give_e *give)
{
    static const char *const moving[] = {"ASK", "TRYAGAIN", NULL};

    if (strcmp(command, "SELECT") == 0 && strstr(error->str, "cluster mode")) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_SELECT, ETV_LOG_ERR, APR_EINVAL,
                      "%s: the server is a node of a Redis Cluster, which has only database 0: "
                      "ETagVersionStore must name no database",
                      r->shown);
        *give = ETV_GIVE_FAILED;
    } else if (strcmp(code, "CROSSSLOT") == 0) {
        etv_redis_say(
            &r->log, ETV_REDIS_SAYS_SLOTS, ETV_LOG_ERR, APR_EGENERAL,
            "%s: the server is a node of a Redis Cluster, and the versions are in several "
            "of its slots: no versions. With a {tag} in it, as in \"{etag}:\", "
            "ETagVersionKeyPrefix keeps them in one",
            r->shown);
        *give = ETV_GIVE_FAILED;
    } else if (strcmp(code, "CLUSTERDOWN") == 0) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_CLUSTER, ETV_LOG_WARNING, APR_EGENERAL,
                      "%s: the Redis Cluster is down (%s)", r->shown, code);
        *give = ETV_GIVE_FAILED;
    } else if (code_in(code, moving)) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_CLUSTER, ETV_LOG_WARNING, APR_EBUSY,
                      "%s: the slot of the versions is on its way to another node of the cluster "
                      "(%s): no versions until it has arrived",
                      r->shown, code);
        *give = ETV_GIVE_DROP;
    } else {
        return 0;
    }
    return 1;
}

etv_give_e etv_redis_refused(etv_redis_t *r, const char *command, const etv_resp_t *error)
{
    static const char *const login[] = {"NOAUTH", "WRONGPASS", "DENIED", NULL};
    static const char *const busy[] = {"LOADING", "BUSY", NULL};
    static const char full[] = "ERR max number of clients";
    static const char *const replica[] = {"READONLY", "MASTERDOWN", NULL};
    char code[CODE_MOST];
    etv_give_e give;

    code_of(error, code);
    if (cluster_refused(r, command, code, error, &give)) {
        return give;
    }
    if (strncmp(error->str, full, sizeof(full) - 1) == 0) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_CONNECT, ETV_LOG_WARNING, APR_EGENERAL,
                      "%s: cannot connect: the server has as many clients as its maxclients allows",
                      r->shown);
        return ETV_GIVE_FAILED;
    }
    if (strcmp(command, "AUTH") == 0 || code_in(code, login)) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_AUTH, ETV_LOG_ERR, APR_EACCES,
                      "%s: the server refused the login (%s): check the user and password of "
                      "ETagVersionStore and ETagVersionStorePassword",
                      r->shown, code);
        return ETV_GIVE_FAILED;
    }
    if (strcmp(code, "NOPERM") == 0) {
        return no_permission(r, command);
    }
    if (strcmp(command, "SELECT") == 0) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_SELECT, ETV_LOG_ERR, APR_EINVAL,
                      "%s: the server has no database %d (%s)", r->shown, r->config.url->db, code);
        return ETV_GIVE_FAILED;
    }
    if (code_in(code, busy)) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_LOADING, ETV_LOG_WARNING, APR_EBUSY,
                      "%s: the server is not ready (%s)", r->shown, code);
        return ETV_GIVE_FAILED;
    }
    if (code_in(code, replica)) {
        etv_redis_say(&r->log, ETV_REDIS_SAYS_READONLY, ETV_LOG_WARNING, APR_EGENERAL,
                      "%s: the server is a replica (%s); versions are read from the primary only",
                      r->shown, code);
        return ETV_GIVE_FAILED;
    }
    etv_redis_say(&r->log, ETV_REDIS_SAYS_ERROR, ETV_LOG_WARNING, APR_EGENERAL,
                  "%s: the server answered %s with an error (%s)", r->shown, command, code);
    return ETV_GIVE_DROP;
}

etv_give_e etv_redis_exchange_failed(etv_redis_t *r, const etv_redis_conn_t *c, etv_conn_e what)
{
    switch (what) {
    case ETV_CONN_OK:
        return ETV_GIVE_SOUND;
    case ETV_CONN_STOPPED:
        return ETV_GIVE_DROP;
    case ETV_CONN_LOST:
        etv_redis_say(&r->log, ETV_REDIS_SAYS_LOST, ETV_LOG_WARNING, c->status,
                      "%s: the connection was lost", r->shown);
        return ETV_GIVE_FAILED;
    case ETV_CONN_TLS:
        etv_redis_say(&r->log, ETV_REDIS_SAYS_TLS, ETV_LOG_ERR, APR_SUCCESS, "%s: TLS: %s",
                      r->shown, c->why);
        return ETV_GIVE_FAILED;
    case ETV_CONN_TIMEOUT:
        etv_redis_say(&r->log, ETV_REDIS_SAYS_TIMEOUT, ETV_LOG_WARNING, c->status,
                      "%s: no answer in time (ETagVersionStoreTimeout)", r->shown);
        return ETV_GIVE_FAILED;
    case ETV_CONN_GARBLED:
        etv_redis_say(&r->log, ETV_REDIS_SAYS_GARBLED, ETV_LOG_ERR, c->status,
                      "%s: the answer is not what Redis would say", r->shown);
        return ETV_GIVE_FAILED;
    case ETV_CONN_OVERSIZE:
        break;
    }
    etv_redis_say(
        &r->log, ETV_REDIS_SAYS_OVERSIZE, ETV_LOG_ERR, c->status,
        "%s: the values are far too large for versions; nothing below %s may hold anything "
        "but versions",
        r->shown, r->config.prefix);
    return ETV_GIVE_DROP;
}
