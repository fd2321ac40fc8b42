/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include "core/graphql_document.h"

static etv_graphql_find_e find(const char *text, size_t len, const char *wanted,
                               etv_graphql_operation_t *operation)
{
    return etv_graphql_document_find(text, len, wanted, wanted ? strlen(wanted) : 0, operation);
}

/* The same document with something behind it. */
static etv_graphql_find_e find_with(const char *text, size_t len, const char *more,
                                    const char *wanted)
{
    size_t more_len = strlen(more);
    char *longer = malloc(len + more_len);
    etv_graphql_operation_t operation;
    etv_graphql_find_e result;

    ETV_MUST(longer);
    memcpy(longer, text, len);
    memcpy(longer + len, more, more_len);
    result = find(longer, len + more_len, wanted, &operation);
    free(longer);
    return result;
}

static int ends_with_word(const char *text, const char *end, const char *word)
{
    size_t len = strlen(word);

    return (size_t)(end - text) >= len && memcmp(end - len, word, len) == 0;
}

/* The word for its kind is somewhere in front of the name, and the name is whole. */
static void check_found(const char *text, size_t len, const etv_graphql_operation_t *operation)
{
    static const char *const words[] = {"query", "mutation", "subscription"};
    const char *at = operation->name;
    int seen = 0;

    ETV_MUST(operation->kind <= ETV_GRAPHQL_SUBSCRIPTION);
    ETV_MUST((at != NULL) == (operation->name_len > 0));
    if (!at) {
        return;
    }
    ETV_MUST(at > text && operation->name_len < len);
    ETV_MUST((size_t)(at - text) < len - operation->name_len);
    ETV_MUST(etv_graphql_is_name(at, operation->name_len));
    ETV_MUST(!etv_graphql_is_name(at, operation->name_len + 1));
    for (; at > text && !seen; at--) {
        seen = ends_with_word(text, at, words[operation->kind]);
    }
    ETV_MUST(seen);
}

/* What may stand behind a document, and what may not. */
static void check_more(const char *text, size_t len, const char *wanted, etv_graphql_find_e result)
{
    static const char *const harmless[] = {"\n", "\n#}", " ,",
                                           "\nfragment _F on T @d(a: \"}\") {a}"};
    static const char *const wrong[] = {"\n}",       "\n{",         "\n\"", "\n{)}", "\nscalar A",
                                        "\nquery A", "\nquery\"\"", "\n\\", "\n1",   "\n{}"};

    for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++) {
        ETV_MUST(find_with(text, len, harmless[i], wanted) == result);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        ETV_MUST(find_with(text, len, wrong[i], wanted) == ETV_GRAPHQL_MALFORMED);
    }
    if (result == ETV_GRAPHQL_FOUND || result == ETV_GRAPHQL_AMBIGUOUS) {
        ETV_MUST(find_with(text, len, "\n{a}", wanted) == ETV_GRAPHQL_AMBIGUOUS);
    }
}

/* The first line is the wanted name, empty for none; the rest is the document. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = etv_fuzz_line(&data, &size), *text = malloc(size ? size : 1);
    const char *wanted = line && *line ? line : NULL;
    etv_graphql_operation_t operation, again;
    etv_graphql_find_e result;

    ETV_MUST(text);
    memcpy(text, data, size);
    result = find(text, size, wanted, &operation);
    if (result == ETV_GRAPHQL_FOUND) {
        check_found(text, size, &operation);
        ETV_MUST(!wanted || (strlen(wanted) == operation.name_len &&
                             memcmp(wanted, operation.name, operation.name_len) == 0));
        if (operation.name) {
            ETV_MUST(etv_graphql_document_find(text, size, operation.name, operation.name_len,
                                               &again) == ETV_GRAPHQL_FOUND);
            ETV_MUST(again.kind == operation.kind && again.name == operation.name);
        }
    }
    if (result != ETV_GRAPHQL_MALFORMED) {
        check_more(text, size, wanted, result);
    } else {
        ETV_MUST(find(text, size, wanted ? NULL : "A", &again) == ETV_GRAPHQL_MALFORMED);
    }
    free(text);
    free(line);
    return 0;
}
