/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis_txn.h"

#include <string.h>
#include <unistd.h>

#include "core/token.h"

#define RAW(out, text) etv_resp_out_raw(out, text, sizeof(text) - 1)

#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define CLOSE "*1\r\n$4\r\nROLE\r\n*1\r\n$4\r\nEXEC\r\n"

#define INFO_SERVER      "*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"
#define INFO_REPLICATION "*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n"

apr_uint64_t etv_redis_token(void)
{
    static atomic_ullong newest;
    unsigned long long last = atomic_load(&newest);
    apr_uint32_t random;
    apr_uint64_t token;

    if (getentropy(&random, sizeof(random))) {
        return 0;
    }
    do {
        token = etv_token_after(last, apr_time_now(), random);
    } while (!atomic_compare_exchange_weak(&newest, &last, token));
    return token;
}

static int random_hex(char hex[ETV_REDIS_HEX])
{
    static const char digit[] = "0123456789abcdef";
    unsigned char bytes[ETV_REDIS_HEX / 2];

    if (getentropy(bytes, sizeof(bytes))) {
        return 0;
    }
    for (apr_size_t i = 0; i < sizeof(bytes); i++) {
        hex[2 * i] = digit[bytes[i] >> 4];
        hex[2 * i + 1] = digit[bytes[i] & 15];
    }
    return 1;
}

static void write_key(const etv_redis_t *r, const char *name, apr_size_t len, etv_resp_out_t *out)
{
    etv_resp_out_word(out, r->config.prefix, r->prefix_len, name, len);
}

static void write_set(const etv_redis_t *r, const char *name, apr_size_t name_len,
                      const char *value, apr_size_t value_len, int if_absent, etv_resp_out_t *out)
{
    if (if_absent) {
        RAW(out, "*4\r\n$3\r\nSET\r\n");
    } else {
        RAW(out, "*3\r\n$3\r\nSET\r\n");
    }
    write_key(r, name, name_len, out);
    etv_resp_out_word(out, value, value_len, NULL, 0);
    if (if_absent) {
        RAW(out, "$2\r\nNX\r\n");
    }
}

/** What shall be there before it is read. @return 0 without randomness */
static int write_creation(const etv_redis_t *r, const etv_redis_ask_t *ask, etv_resp_out_t *out)
{
    char hex[ETV_REDIS_HEX];

    if (ask->create_epoch) {
        if (!random_hex(hex)) {
            return 0;
        }
        write_set(r, ETV_REDIS_EPOCH, strlen(ETV_REDIS_EPOCH), hex, sizeof(hex), 1, out);
    }
    if (ask->create_secret) {
        if (!random_hex(hex)) {
            return 0;
        }
        write_set(r, ETV_REDIS_SECRET, strlen(ETV_REDIS_SECRET), hex, sizeof(hex), 1, out);
    }
    for (int i = 0; i < ask->n; i++) {
        if (ask->create & 1u << i) {
            char text[ETV_TOKEN_TEXT_ROOM];
            apr_uint64_t token = etv_redis_token();

            if (!token) {
                return 0;
            }
            write_set(r, ask->models[i].name, ask->models[i].name_len, text,
                      etv_token_format(text, token), 1, out);
        }
    }
    return 1;
}

/** Commands before MGET. */
static apr_size_t creations(const etv_redis_ask_t *ask)
{
    return (apr_size_t)__builtin_popcount(ask->create) + (ask->create_epoch ? 1 : 0) +
           (ask->create_secret ? 1 : 0);
}

/** Commands about changes under way. */
static apr_size_t asked_open(const etv_redis_ask_t *ask)
{
    return ask->apart ? (apr_size_t)ask->n : ask->n ? 1 : 0;
}

/** Commands between MULTI and EXEC. */
static apr_size_t queued(const etv_redis_ask_t *ask)
{
    return creations(ask) + 1 + asked_open(ask) + (ask->server ? 1 : 0) + 1 + 1;
}

/** A change under way: a model whose key exists, of whatever type, has one. */
static void write_open(const etv_redis_t *r, const etv_redis_ask_t *ask, etv_resp_out_t *out)
{
    for (int i = 0; i < ask->n; i++) {
        if (i == 0 || ask->apart) {
            etv_resp_out_command(out, ask->apart ? 2 : 1 + (apr_size_t)ask->n);
            RAW(out, "$6\r\nEXISTS\r\n");
        }
        etv_resp_out_word(out, r->family[ETV_REDIS_KEY_OPEN].text,
                          r->family[ETV_REDIS_KEY_OPEN].len, ask->models[i].name,
                          ask->models[i].name_len);
    }
}

apr_size_t etv_redis_ask_write(const etv_redis_t *r, const etv_redis_ask_t *ask,
                               etv_resp_out_t *out)
{
    RAW(out, MULTI);
    if (creations(ask) && !write_creation(r, ask, out)) {
        return 0;
    }
    etv_resp_out_command(out, 2 + (ask->secret ? 1u : 0u) + (apr_size_t)ask->n);
    RAW(out, "$4\r\nMGET\r\n");
    write_key(r, ETV_REDIS_EPOCH, strlen(ETV_REDIS_EPOCH), out);
    if (ask->secret) {
        write_key(r, ETV_REDIS_SECRET, strlen(ETV_REDIS_SECRET), out);
    }
    for (int i = 0; i < ask->n; i++) {
        write_key(r, ask->models[i].name, ask->models[i].name_len, out);
    }
    write_open(r, ask, out);
    if (ask->server) {
        RAW(out, INFO_SERVER);
    }
    RAW(out, INFO_REPLICATION);
    RAW(out, CLOSE);
    return queued(ask) + 2;
}

static const char *ask_command(const void *what, apr_size_t n, apr_size_t index)
{
    const etv_redis_ask_t *ask = what;
    apr_size_t before = creations(ask);

    return index < before                      ? "SET"
           : index == before                   ? "MGET"
           : index <= before + asked_open(ask) ? "EXISTS"
           : index + 1 < n                     ? "INFO"
                                               : "ROLE";
}

const etv_resp_t *etv_redis_read_queue(etv_redis_name_fn *name, const void *what, apr_size_t n,
                                       etv_resp_t *const *replies, etv_redis_answer_t *answer,
                                       int *garbled)
{
    const etv_resp_t *exec = replies[n + 1];

    memset(answer, 0, sizeof(*answer));
    answer->in_step = exec->type == ETV_RESP_ARRAY || exec->type == ETV_RESP_NIL ||
                      (exec->type == ETV_RESP_ERROR && strncmp(exec->str, "EXECABORT", 9) == 0);
    *garbled = 0;
    for (apr_size_t i = 0; i < n + 2; i++) {
        if (replies[i]->type == ETV_RESP_ERROR) {
            answer->refused = replies[i];
            answer->command = i == 0 ? "MULTI" : i == n + 1 ? "EXEC" : name(what, n, i - 1);
            return NULL;
        }
        if (i <= n && !etv_resp_is(replies[i], i ? "QUEUED" : "OK")) {
            *garbled = 1;
            return NULL;
        }
    }
    if (exec->type != ETV_RESP_NIL && (exec->type != ETV_RESP_ARRAY || exec->elements != n)) {
        *garbled = 1;
        return NULL;
    }
    return exec;
}

/** @return EXEC's array, no errors among it; or NULL: refused or garbled (*garbled) */
static const etv_resp_t *read_ask(const etv_redis_ask_t *ask, apr_size_t n,
                                  etv_resp_t *const *replies, etv_redis_answer_t *answer,
                                  int *garbled)
{
    const etv_resp_t *exec = etv_redis_read_queue(ask_command, ask, n, replies, answer, garbled);

    if (exec && exec->type == ETV_RESP_NIL) {
        *garbled = 1; /* nothing was watched */
        return NULL;
    }
    for (apr_size_t i = 0; exec && i < n; i++) {
        if (exec->element[i]->type == ETV_RESP_ERROR) {
            answer->refused = exec->element[i];
            answer->command = ask_command(ask, n, i);
            return NULL;
        }
    }
    return exec;
}

/* ROLE is an array whose first element names the role. */
int etv_redis_read_role(const etv_resp_t *role, etv_redis_answer_t *answer)
{
    if (role->type != ETV_RESP_ARRAY || role->elements < 1 ||
        role->element[0]->type != ETV_RESP_STRING) {
        return 0;
    }
    answer->master = etv_resp_is(role->element[0], "master");
    return 1;
}

int etv_redis_ask_read(const etv_redis_ask_t *ask, etv_resp_t *const *replies,
                       etv_redis_answer_t *answer)
{
    apr_size_t n = queued(ask);
    apr_size_t at = creations(ask);
    apr_size_t first = ask->secret ? 2 : 1;
    int garbled;
    const etv_resp_t *exec = read_ask(ask, n, replies, answer, &garbled);
    const etv_resp_t *mget;

    if (!exec) {
        return !garbled;
    }
    mget = exec->element[at];
    if (mget->type != ETV_RESP_ARRAY || mget->elements != first + (apr_size_t)ask->n) {
        return 0;
    }
    for (apr_size_t i = 0; i < mget->elements; i++) {
        if (mget->element[i]->type != ETV_RESP_STRING && mget->element[i]->type != ETV_RESP_NIL) {
            return 0;
        }
    }
    answer->epoch = mget->element[0];
    answer->secret = ask->secret ? mget->element[1] : NULL;
    answer->models = mget->element + first;
    answer->open = exec->element + at + 1;
    for (apr_size_t i = 0; i < asked_open(ask); i++) {
        if (answer->open[i]->type != ETV_RESP_INTEGER) {
            return 0;
        }
    }
    answer->server = ask->server ? exec->element[n - 3] : NULL;
    answer->replication = exec->element[n - 2];
    if ((answer->server && answer->server->type != ETV_RESP_STRING) ||
        answer->replication->type != ETV_RESP_STRING) {
        return 0;
    }
    return etv_redis_read_role(exec->element[n - 1], answer);
}
