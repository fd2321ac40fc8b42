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
    etv_redis_say(&r->log, ETV_REDIS_SAYS_ACL, ETV_LOG_ERR, APR_EACCES,
                  "%s: the user may not run %s: no versions. Its ACL needs ~%s* +multi +exec +mget "
                  "+set +role +info%s",
                  r->shown, command, r->config.prefix, r->config.url->db ? " +select" : "");
    /* A key that is out of bounds concerns one lookup, a command of every lookup all of them. */
    return strcmp(command, "MGET") && strcmp(command, "SET") ? ETV_GIVE_FAILED : ETV_GIVE_DROP;
}

etv_give_e etv_redis_refused(etv_redis_t *r, const char *command, const etv_resp_t *error)
{
    static const char *const login[] = {"NOAUTH", "WRONGPASS", "DENIED", NULL};
    static const char *const busy[] = {"LOADING", "BUSY", NULL};
    static const char full[] = "ERR max number of clients";
    static const char *const replica[] = {"READONLY", "MASTERDOWN", NULL};
    char code[CODE_MOST];

    code_of(error, code);
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
    case ETV_CONN_LOST:
        etv_redis_say(&r->log, ETV_REDIS_SAYS_LOST, ETV_LOG_WARNING, c->status,
                      "%s: the connection was lost", r->shown);
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
