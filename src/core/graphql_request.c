/* SPDX-License-Identifier: Apache-2.0 */
#include "core/graphql_request.h"

#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <jansson.h>

#include "core/http_text.h"

/* jansson calls itself for each level, and each list and object takes a few hundred bytes. */
#define DEPTH_MOST      64
#define CONTAINERS_MOST 4096

/* --- one operation --- */

typedef struct {
    const char *text; /* NULL: absent */
    apr_size_t len;
} span_t;

/* What one request, or one of a batch, says. */
typedef struct {
    span_t document, name;
    int ids; /* ways in which it names a persisted document */
    int by_hash;
} parts_t;

/* Returns 0 when it is unknown; so do the functions below. */
static int add_operation(apr_pool_t *p, etv_graphql_request_t *request, span_t name,
                         unsigned char kind)
{
    if (request->n == ETV_GRAPHQL_BATCH_MOST || name.len > ETV_GRAPHQL_NAME_MOST)
        return 0;
    request->names[request->n] = name.len ? apr_pstrmemdup(p, name.text, name.len) : "";
    request->kinds[request->n] = kind;
    request->n++;
    return 1;
}

/* An empty name is one for some servers, none for others: with a single operation they agree, or
 * there is an error. */
static int add_document(apr_pool_t *p, etv_graphql_request_t *request, span_t document, span_t name,
                        int has_hash)
{
    etv_graphql_operation_t operation;
    unsigned char kind;
    span_t found;

    if (name.len && !etv_graphql_is_name(name.text, name.len))
        return 0;
    if (etv_graphql_document_find(document.text, document.len, name.len ? name.text : NULL,
                                  name.len, &operation) != ETV_GRAPHQL_FOUND)
        return 0;
    found.text = operation.name;
    found.len = operation.name_len;
    kind = (unsigned char)operation.kind;
    /* a server may look up the hash instead, or choose another operation */
    if (kind == ETV_GRAPHQL_QUERY && (has_hash || operation.beside_mutation))
        kind = ETV_GRAPHQL_BY_NAME;
    return add_operation(p, request, found, kind);
}

/* Beside a document, a hash is that of the document, which most servers verify; any other id may be
 * that of another one. */
static int add_parts(apr_pool_t *p, etv_graphql_request_t *request, const parts_t *parts)
{
    if (parts->document.len)
        return !parts->ids &&
               add_document(p, request, parts->document, parts->name, parts->by_hash);
    if (parts->ids + parts->by_hash != 1 || !etv_graphql_is_name(parts->name.text, parts->name.len))
        return 0;
    return add_operation(p, request, parts->name, ETV_GRAPHQL_BY_NAME);
}

static void begin(etv_graphql_request_t *request)
{
    memset(request, 0, sizeof(*request));
    request->present = 1;
    request->what = ETV_GRAPHQL_UNKNOWN;
}

static void conclude(etv_graphql_request_t *request, int known)
{
    int n[ETV_GRAPHQL_BY_NAME + 1] = {0};

    for (int i = 0; i < request->n; i++)
        n[request->kinds[i]]++;
    if (n[ETV_GRAPHQL_BY_NAME] && (n[ETV_GRAPHQL_MUTATION] || n[ETV_GRAPHQL_SUBSCRIPTION]))
        known = 0;
    if (!known || !request->n) {
        request->n = 0;
        return;
    }
    request->what = n[ETV_GRAPHQL_MUTATION]       ? ETV_GRAPHQL_CHANGES
                    : n[ETV_GRAPHQL_SUBSCRIPTION] ? ETV_GRAPHQL_LISTENS
                    : n[ETV_GRAPHQL_BY_NAME]      ? ETV_GRAPHQL_NAMED
                                                  : ETV_GRAPHQL_READS;
}

/* --- names of parameters and members --- */

enum { QUERY, OPERATION_NAME, EXTENSIONS, ID, DOCUMENT_ID, DOC_ID, VARIABLES, OTHER, ODD };

static const char *const parameters[] = {"query",      "operationName", "extensions", "id",
                                         "documentId", "doc_id",        "variables"};

/* What some server takes for an id, an operation's name, or another method. */
static const char *const odd_ones[] = {"queryId",        "query_id",        "operationId",
                                       "operation_id",   "operation_name",  "operation",
                                       "persistedQuery", "persisted_query", "batchOperations",
                                       "document",       "sha256Hash",      "_method"};

/* The bytes of a text, which may be percent-encoded. */
typedef struct {
    const char *at, *end;
    int encoded;
} bytes_t;

enum { BYTE_END = -1, BYTE_WRONG = -2 };

/* Returns BYTE_WRONG when a percent sign is not followed by two hexadecimal digits. */
static int next_byte(bytes_t *bytes)
{
    int high, low;
    char c;

    if (bytes->at == bytes->end)
        return BYTE_END;
    c = *bytes->at++;
    if (!bytes->encoded || (c != '%' && c != '+'))
        return (unsigned char)c;
    if (c == '+')
        return ' ';
    if (bytes->end - bytes->at < 2)
        return BYTE_WRONG;
    high = etv_http_text_hex(bytes->at[0]);
    low = etv_http_text_hex(bytes->at[1]);
    if (high < 0 || low < 0)
        return BYTE_WRONG;
    bytes->at += 2;
    return high * 16 + low;
}

/* ASCII's small letters, and what some take for one: Go's JSON reads U+017F as an s, PHP reads
 * blanks and dots in a parameter's name as underscores. */
static int next_folded(bytes_t *bytes)
{
    int c = next_byte(bytes);
    bytes_t after = *bytes;

    if (c == 0xc5 && next_byte(&after) == 0xbf) {
        *bytes = after;
        return 's';
    }
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 'a';
    return c == '.' || c == ' ' ? '_' : c;
}

static int is_exactly(bytes_t name, const char *parameter)
{
    for (; *parameter; parameter++) {
        if (next_byte(&name) != *parameter)
            return 0;
    }
    return next_byte(&name) == BYTE_END;
}

/* Whether a server may take the name for the parameter: in other letters, with blanks around it, or
 * as `query[]`. */
static int resembles(bytes_t name, const char *parameter)
{
    bytes_t rest = name;
    int c;

    for (c = next_byte(&rest); c >= 0 && c <= ' '; c = next_byte(&rest))
        name = rest;
    for (; *parameter; parameter++) {
        char small =
            *parameter >= 'A' && *parameter <= 'Z' ? (char)(*parameter - 'A' + 'a') : *parameter;

        if (next_folded(&name) != small)
            return 0;
    }
    c = next_byte(&name);
    return c <= ' ' || c == '[';
}

static int find_parameter(const char *text, apr_size_t len, int encoded)
{
    bytes_t name = {text, text + len, encoded}, all = name;
    int c;

    do {
        c = next_byte(&all);
    } while (c >= 0);
    if (c == BYTE_WRONG)
        return ODD;
    for (int i = 0; i < OTHER; i++) {
        if (is_exactly(name, parameters[i]))
            return i;
        if (resembles(name, parameters[i]))
            return ODD;
    }
    for (apr_size_t i = 0; i < sizeof(odd_ones) / sizeof(odd_ones[0]); i++) {
        if (resembles(name, odd_ones[i]))
            return ODD;
    }
    return OTHER;
}

/* --- JSON --- */

static json_t *load(const char *text, apr_size_t len)
{
    int depth = 0, containers = 0, quoted = 0;

    if (memchr(text, '\0', len)) /* behind a number jansson takes one for nothing */
        return NULL;
    for (apr_size_t i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '[' || text[i] == '{') &&
                 (++depth > DEPTH_MOST || ++containers > CONTAINERS_MOST))
            return NULL;
        else if (!quoted && (text[i] == ']' || text[i] == '}'))
            depth--;
    }
    return json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
}

/* Whether an extension's name may be that of a document's id. */
static int may_name_document(const char *key)
{
    static const char *const words[] = {"query", "operation", "document", "hash", "persist"};
    apr_size_t len = strlen(key);

    if (len >= 2 && apr_tolower(key[len - 2]) == 'i' && apr_tolower(key[len - 1]) == 'd')
        return 1;
    for (; *key; key++) {
        for (apr_size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            if (strncasecmp(key, words[i], strlen(words[i])) == 0)
                return 1;
        }
    }
    return 0;
}

static int read_extensions(parts_t *parts, json_t *extensions)
{
    const char *key;
    json_t *value;

    if (!json_is_object(extensions))
        return 0;
    json_object_foreach(extensions, key, value)
    {
        bytes_t name = {key, key + strlen(key), 0};

        if (!is_exactly(name, "persistedQuery")) {
            if (may_name_document(key))
                return 0;
            continue;
        }
        if (!json_is_object(value) && !json_is_null(value))
            return 0;
        parts->by_hash = json_is_object(value);
    }
    return 1;
}

static int read_string(span_t *span, const json_t *value)
{
    span->text = json_string_value(value);
    span->len = json_string_length(value);
    return span->text != NULL;
}

static int read_member(parts_t *parts, int parameter, json_t *value)
{
    if (parameter == ODD)
        return 0;
    if (json_is_null(value))
        return 1;
    switch (parameter) {
    case QUERY:
        return read_string(&parts->document, value);
    case OPERATION_NAME:
        return read_string(&parts->name, value);
    case EXTENSIONS:
        return read_extensions(parts, value);
    case VARIABLES:
        return json_is_object(value);
    case OTHER:
        return 0;
    default:
        parts->ids++;
        return json_string_length(value) > 0 || json_is_number(value);
    }
}

/* What is found points into the object. */
static int read_object(apr_pool_t *p, etv_graphql_request_t *request, json_t *object)
{
    parts_t parts;
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return 0;
    memset(&parts, 0, sizeof(parts));
    json_object_foreach(object, key, value)
    {
        if (!read_member(&parts, find_parameter(key, strlen(key), 0), value))
            return 0;
    }
    return add_parts(p, request, &parts);
}

void etv_graphql_request_json(apr_pool_t *p, etv_graphql_request_t *request, const char *body,
                              apr_size_t len)
{
    json_t *root = len <= ETV_GRAPHQL_BODY_MOST ? load(body, len) : NULL;
    int known = root != NULL;

    begin(request);
    if (json_is_array(root)) {
        known = json_array_size(root) <= ETV_GRAPHQL_BATCH_MOST;
        for (apr_size_t i = 0; known && i < json_array_size(root); i++)
            known = read_object(p, request, json_array_get(root, i));
    } else if (root) {
        known = read_object(p, request, root);
    }
    json_decref(root);
    conclude(request, known);
}

/* --- query strings and forms --- */

static int decode(apr_pool_t *p, const char *text, apr_size_t len, span_t *decoded)
{
    bytes_t bytes = {text, text + len, 1};
    char *to = apr_palloc(p, len + 1);
    int c;

    decoded->text = to;
    for (c = next_byte(&bytes); c >= 0; c = next_byte(&bytes))
        *to++ = (char)c;
    *to = '\0';
    decoded->len = (apr_size_t)(to - decoded->text);
    return c == BYTE_END;
}

static int read_value(parts_t *parts, int parameter, span_t value)
{
    json_t *extensions;
    int known;

    switch (parameter) {
    case QUERY:
        parts->document = value;
        return 1;
    case OPERATION_NAME:
        parts->name = value;
        return 1;
    case EXTENSIONS:
        if (!value.len)
            return 1;
        extensions = load(value.text, value.len);
        known = read_extensions(parts, extensions);
        json_decref(extensions);
        return known;
    case VARIABLES:
        return 1;
    default:
        parts->ids++;
        return value.len > 0;
    }
}

typedef struct {
    const char *name, *value; /* value NULL: no equals sign */
    apr_size_t name_len, value_len;
} pair_t;

/* The next pair that is not empty, if there is one. Old servers separate by semicolons too: of one
 * that is there it is found out what would be in both readings. */
static int next_pair(const char **at, const char *end, pair_t *pair)
{
    while (*at < end) {
        const char *from = *at, *to = from, *equals;

        while (to < end && *to != '&' && *to != ';')
            to++;
        *at = to < end ? to + 1 : end;
        if (to == from)
            continue;
        equals = memchr(from, '=', (apr_size_t)(to - from));
        pair->name = from;
        pair->name_len = (apr_size_t)((equals ? equals : to) - from);
        pair->value = equals ? equals + 1 : NULL;
        pair->value_len = equals ? (apr_size_t)(to - equals - 1) : 0;
        return 1;
    }
    return 0;
}

/* @param whole  0: others may stand there */
static void read_pairs(apr_pool_t *p, etv_graphql_request_t *request, const char *form,
                       apr_size_t len, int whole)
{
    const char *at = form, *end = form + len;
    int known = len <= ETV_GRAPHQL_BODY_MOST && !memchr(form, ';', len);
    int times[OTHER + 1] = {0};
    parts_t parts;
    pair_t pair;

    begin(request);
    request->present = 0;
    memset(&parts, 0, sizeof(parts));
    while (next_pair(&at, end, &pair)) {
        int parameter = find_parameter(pair.name, pair.name_len, 1);
        span_t value = {"", 0};

        if (parameter == OTHER) {
            known &= !whole;
            continue;
        }
        if (parameter != VARIABLES)
            request->present = 1;
        if (!known)
            continue;
        known = parameter != ODD && !times[parameter]++ &&
                decode(p, pair.value ? pair.value : "", pair.value_len, &value) &&
                read_value(&parts, parameter, value);
    }
    conclude(request, request->present && known && add_parts(p, request, &parts));
}

void etv_graphql_request_args(apr_pool_t *p, etv_graphql_request_t *request, const char *args,
                              apr_size_t len)
{
    read_pairs(p, request, args, len, 0);
}

void etv_graphql_request_form(apr_pool_t *p, etv_graphql_request_t *request, const char *form,
                              apr_size_t len)
{
    read_pairs(p, request, form, len, 1);
}

int etv_graphql_request_is_in(const char *args)
{
    const char *end;
    pair_t pair;

    if (!args)
        return 0;
    end = args + strlen(args);
    while (next_pair(&args, end, &pair)) {
        if (find_parameter(pair.name, pair.name_len, 1) != OTHER)
            return 1;
    }
    return 0;
}

/* --- the document itself --- */

void etv_graphql_request_document(apr_pool_t *p, etv_graphql_request_t *request, const char *body,
                                  apr_size_t len)
{
    span_t document = {body, len}, name = {NULL, 0};

    begin(request);
    conclude(request, len <= ETV_GRAPHQL_BODY_MOST && add_document(p, request, document, name, 0));
}

/* --- patterns --- */

/* Behind each star the shortest match will do: only the last star is ever tried anew. */
int etv_graphql_request_matches(const char *pattern, const char *name)
{
    const char *star = NULL, *from = NULL;

    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            from = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++from;
        } else {
            return 0;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}
