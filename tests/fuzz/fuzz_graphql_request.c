/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <jansson.h>

#include "core/graphql_request.h"

typedef void read_fn(apr_pool_t *p, etv_graphql_request_t *request, const char *text,
                     apr_size_t len);

/* The whole is no more than its operations say. */
static void check_request(const etv_graphql_request_t *request)
{
    int n[ETV_GRAPHQL_BY_NAME + 1] = {0};

    ETV_MUST(request->n >= 0 && request->n <= ETV_GRAPHQL_BATCH_MOST);
    ETV_MUST((request->n == 0) == (request->what == ETV_GRAPHQL_UNKNOWN));
    ETV_MUST(request->present || !request->n);
    for (int i = 0; i < request->n; i++) {
        const char *name = request->names[i];

        ETV_MUST(request->kinds[i] <= ETV_GRAPHQL_BY_NAME);
        ETV_MUST(strlen(name) <= ETV_GRAPHQL_NAME_MOST);
        ETV_MUST(!*name || etv_graphql_is_name(name, strlen(name)));
        n[request->kinds[i]]++;
    }
    ETV_MUST((request->what == ETV_GRAPHQL_CHANGES) == (n[ETV_GRAPHQL_MUTATION] > 0));
    ETV_MUST((request->what == ETV_GRAPHQL_NAMED) == (n[ETV_GRAPHQL_BY_NAME] > 0));
    ETV_MUST(request->what != ETV_GRAPHQL_READS || n[ETV_GRAPHQL_QUERY] == request->n);
    ETV_MUST(request->what != ETV_GRAPHQL_LISTENS || n[ETV_GRAPHQL_SUBSCRIPTION] > 0);
}

static void must_be_same(const etv_graphql_request_t *a, const etv_graphql_request_t *b)
{
    ETV_MUST(a->what == b->what && a->n == b->n);
    for (int i = 0; i < a->n; i++) {
        ETV_MUST(a->kinds[i] == b->kinds[i] && strcmp(a->names[i], b->names[i]) == 0);
    }
}

static void read_exact(read_fn *read, etv_graphql_request_t *request, const void *data, size_t size)
{
    char *exact = malloc(size ? size : 1);

    ETV_MUST(exact);
    memcpy(exact, data, size);
    memset(request, 0xa5, sizeof(*request));
    read(etv_fuzz_pool(), request, exact, size);
    free(exact);
    check_request(request);
}

/* --- JSON and the form of the same content --- */

static char *encode(char *to, const char *name, const char *value)
{
    static const char digits[] = "0123456789abcdef";

    *to++ = '&';
    for (; *name; name++) {
        *to++ = *name;
    }
    *to++ = '=';
    for (; value && *value; value++) {
        *to++ = '%';
        *to++ = digits[(unsigned char)*value >> 4];
        *to++ = digits[*value & 15];
    }
    return to;
}

static void check_form_of(const json_t *object, const etv_graphql_request_t *expected)
{
    const char *query = json_string_value(json_object_get(object, "query"));
    const char *name = json_string_value(json_object_get(object, "operationName"));
    const json_t *extensions = json_object_get(object, "extensions");
    char *text = json_is_object(extensions) ? json_dumps(extensions, JSON_COMPACT) : NULL;
    size_t room = 100 + 3 * ((query ? strlen(query) : 0) + (name ? strlen(name) : 0) +
                             (text ? strlen(text) : 0));
    char *form = malloc(room), *to = form;
    etv_graphql_request_t request;

    ETV_MUST(form);
    to = encode(to, "operationName", name);
    to = encode(to, "query", query);
    to = encode(to, "extensions", text);
    for (const char *const *id = (const char *const[]){"id", "documentId", "doc_id", NULL}; *id;
         id++) {
        const json_t *value = json_object_get(object, *id);

        if (value && !json_is_null(value)) {
            to = encode(to, *id, "x");
        }
    }
    read_exact(etv_graphql_request_form, &request, form, (size_t)(to - form));
    ETV_MUST(request.present);
    must_be_same(expected, &request);
    free(form);
    free(text);
}

/* In a list an object is what it is alone, and so it is in a form; twice it is twice the same. */
static void check_json(const char *text, size_t size)
{
    static etv_graphql_request_t request, other;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    char *twice = malloc(2 * size + 3);

    ETV_MUST(twice);
    read_exact(etv_graphql_request_json, &request, text, size);
    ETV_MUST(root || request.what == ETV_GRAPHQL_UNKNOWN);
    if (json_is_object(root)) {
        twice[0] = '[';
        memcpy(twice + 1, text, size);
        twice[size + 1] = ',';
        memcpy(twice + size + 2, text, size);
        twice[2 * size + 2] = ']';
        ETV_MUST(request.n <= 1);
        read_exact(etv_graphql_request_json, &other, twice, 2 * size + 3);
        ETV_MUST(other.n == 2 * request.n && other.what == request.what);
        twice[size + 1] = ']';
        read_exact(etv_graphql_request_json, &other, twice, size + 2);
        /* the name is in the pool of the last reading: read again */
        read_exact(etv_graphql_request_json, &request, text, size);
        ETV_MUST(other.n == request.n && other.what == request.what);
        if (request.n) {
            char name[ETV_GRAPHQL_NAME_MOST + 1];

            strcpy(name, request.names[0]);
            request.names[0] = name;
            check_form_of(root, &request);
        }
    } else {
        ETV_MUST(request.n == (int)json_array_size(root) || !request.n);
    }
    free(twice);
    json_decref(root);
}

static void check_form(const char *text, size_t size)
{
    static etv_graphql_request_t request;
    char *args = malloc(size + 1);

    ETV_MUST(args);
    memcpy(args, text, size);
    args[size] = '\0';
    read_exact(etv_graphql_request_form, &request, text, size);
    ETV_MUST(request.n <= 1);
    if (request.present && strlen(args) == size) {
        ETV_MUST(etv_graphql_request_is_in(args));
    }
    free(args);
}

/* --- patterns --- */

#define LETTERS_MOST 64

/* The table of all beginnings of both. */
static int matches_slowly(const char *pattern, const char *name)
{
    static unsigned char table[LETTERS_MOST + 1][LETTERS_MOST + 1];
    size_t m = strlen(pattern), n = strlen(name);

    for (size_t i = 0; i <= m; i++) {
        for (size_t j = 0; j <= n; j++) {
            if (!i) {
                table[i][j] = !j;
            } else if (pattern[i - 1] == '*') {
                table[i][j] = table[i - 1][j] || (j && table[i][j - 1]);
            } else {
                table[i][j] = j && table[i - 1][j - 1] &&
                              (pattern[i - 1] == '?' || pattern[i - 1] == name[j - 1]);
            }
        }
    }
    return table[m][n];
}

static void check_pattern(const uint8_t *data, size_t size)
{
    char *pattern = etv_fuzz_line(&data, &size), *name = etv_fuzz_line(&data, &size);

    if (pattern && name && strlen(pattern) <= LETTERS_MOST && strlen(name) <= LETTERS_MOST) {
        ETV_MUST(etv_graphql_request_matches(pattern, name) == matches_slowly(pattern, name));
    }
    free(pattern);
    free(name);
}

/* The first byte chooses: j JSON, f a form, d a document, m a pattern and a name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static etv_graphql_request_t request;
    etv_graphql_operation_t operation;

    if (!size) {
        return 0;
    }
    data++;
    size--;
    switch (data[-1]) {
    case 'j':
        check_json((const char *)data, size);
        break;
    case 'f':
        check_form((const char *)data, size);
        break;
    case 'd':
        read_exact(etv_graphql_request_document, &request, data, size);
        ETV_MUST((etv_graphql_document_find((const char *)data, size, NULL, 0, &operation) ==
                  ETV_GRAPHQL_FOUND) >= request.n);
        break;
    case 'm':
        check_pattern(data, size);
        break;
    default:
        break;
    }
    return 0;
}
