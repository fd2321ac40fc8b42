/* SPDX-License-Identifier: Apache-2.0 */
#include "core/graphql_document.h"

#include <string.h>

#include "core/http_text.h"
#include "core/utf8.h"

/* A token: one of these, or the punctuator itself; `...` is a dot. */
enum { TOKEN_END = 256, TOKEN_WRONG, TOKEN_NAME, TOKEN_VALUE };

typedef struct {
    const char *at, *end;
    int token;
    const char *text; /* the token's */
    apr_size_t len;
} reader_t;

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int starts_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

int etv_graphql_is_name(const char *text, apr_size_t len)
{
    if (!len || !starts_name(*text))
        return 0;
    for (apr_size_t i = 1; i < len; i++) {
        if (!starts_name(text[i]) && !is_digit(text[i]))
            return 0;
    }
    return 1;
}

/* --- tokens: each function returns where one ends, NULL where there is none --- */

/* In a comment or string. The first edition ended lines at U+2028 and U+2029 too, and lexers in
 * general do at U+0085; some end a comment at any control character. */
static const char *skip_character(const char *at, const char *end)
{
    apr_size_t n = etv_utf8_character(at, (apr_size_t)(end - at));

    if (n == 1 && (unsigned char)*at < ' ' && *at != '\t' && *at != '\n' && *at != '\r')
        return NULL;
    if (n == 2 && memcmp(at, "\xc2\x85", 2) == 0)
        return NULL;
    if (n == 3 && (memcmp(at, "\xe2\x80\xa8", 3) == 0 || memcmp(at, "\xe2\x80\xa9", 3) == 0))
        return NULL;
    return n ? at + n : NULL;
}

/* A carriage return alone ends a comment, but not for every lexer. */
static const char *skip_comment(const char *at, const char *end)
{
    while (at && at < end && *at != '\n') {
        if (*at == '\r')
            return end - at > 1 && at[1] == '\n' ? at : NULL;
        at = skip_character(at, end);
    }
    return at;
}

/* Between tokens. The mark of the byte order counts as nothing at the very start alone. */
static const char *skip_ignored(const char *at, const char *end)
{
    while (at && at < end) {
        switch (*at) {
        case ' ':
        case '\t':
        case '\n':
        case '\r':
        case ',':
            at++;
            break;
        case '#':
            at = skip_comment(at + 1, end);
            break;
        default:
            return at;
        }
    }
    return at;
}

/* Not \u{…}, which editions before 2025 do not know. */
static const char *skip_escape(const char *at, const char *end)
{
    if (end - at < 2)
        return NULL;
    if (at[1] && strchr("\"\\/bfnrt", at[1]))
        return at + 2;
    if (at[1] != 'u' || end - at < 6)
        return NULL;
    for (int i = 2; i < 6; i++) {
        if (etv_http_text_hex(at[i]) < 0)
            return NULL;
    }
    return at + 6;
}

/*
 * Servers of the editions before block strings read `"""a"""` as three strings, and find other
 * tokens in it as soon as there is a quote inside, escaped or not. Such a one is refused, and so
 * are quotes in a row that are neither three nor six.
 */
static const char *skip_block_string(const char *at, const char *end)
{
    while (at && at < end && *at != '"') {
        if (*at == '\\' && end - at > 1 && at[1] == '"')
            return NULL;
        at = skip_character(at, end);
    }
    if (!at || end - at < 3 || memcmp(at, "\"\"\"", 3) != 0)
        return NULL;
    at += 3;
    return at < end && *at == '"' ? NULL : at;
}

static const char *skip_string(const char *at, const char *end)
{
    if (end - at >= 3 && memcmp(at, "\"\"\"", 3) == 0)
        return skip_block_string(at + 3, end);
    at++;
    while (at && at < end && *at != '"') {
        if (*at == '\n' || *at == '\r')
            return NULL;
        at = *at == '\\' ? skip_escape(at, end) : skip_character(at, end);
    }
    if (!at || at == end)
        return NULL;
    at++;
    return at < end && *at == '"' ? NULL : at;
}

/* At least one. */
static const char *skip_digits(const char *at, const char *end)
{
    const char *from = at;

    while (at < end && is_digit(*at))
        at++;
    return at > from ? at : NULL;
}

static const char *skip_number(const char *at, const char *end)
{
    const char *digits;

    if (*at == '-')
        at++;
    digits = at;
    at = skip_digits(at, end);
    if (!at || (*digits == '0' && at - digits > 1))
        return NULL;
    if (at < end && *at == '.')
        at = skip_digits(at + 1, end);
    if (at && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = skip_digits(at, end);
    }
    /* 2a and 1.2.3 were two tokens each before 2021 */
    return !at || (at < end && (*at == '.' || starts_name(*at))) ? NULL : at;
}

/* & and | are in type systems alone. */
static const char *skip_punctuator(const char *at, const char *end)
{
    if (*at == '.')
        return end - at >= 3 && memcmp(at, "...", 3) == 0 ? at + 3 : NULL;
    return *at && strchr("!$():=@[]{}", *at) ? at + 1 : NULL;
}

static void next(reader_t *reader)
{
    const char *from = skip_ignored(reader->at, reader->end), *to = from;

    reader->token = TOKEN_WRONG;
    if (!from)
        return;
    if (from == reader->end) {
        reader->token = TOKEN_END;
        return;
    }
    if (starts_name(*from)) {
        while (to < reader->end && (starts_name(*to) || is_digit(*to)))
            to++;
        reader->token = TOKEN_NAME;
    } else if (*from == '"' || *from == '-' || is_digit(*from)) {
        to = *from == '"' ? skip_string(from, reader->end) : skip_number(from, reader->end);
        reader->token = to ? TOKEN_VALUE : TOKEN_WRONG;
    } else {
        to = skip_punctuator(from, reader->end);
        reader->token = to ? *from : TOKEN_WRONG;
    }
    if (to) {
        reader->text = from;
        reader->len = (apr_size_t)(to - from);
        reader->at = to;
    }
}

/* --- definitions: each function returns 0 where there is none --- */

static int is_word(const reader_t *reader, const char *word)
{
    return reader->token == TOKEN_NAME && reader->len == strlen(word) &&
           memcmp(reader->text, word, reader->len) == 0;
}

/* Open brackets. */
typedef struct {
    int depth;
    int values; /* the depth where arguments or variables began; 0: among selections */
    char closing[ETV_GRAPHQL_BRACKETS_MOST];
} brackets_t;

static int open_bracket(brackets_t *brackets, int token)
{
    if (brackets->depth == ETV_GRAPHQL_BRACKETS_MOST)
        return 0;
    brackets->closing[brackets->depth++] = token == '(' ? ')' : token == '[' ? ']' : '}';
    if (token == '(' && !brackets->values)
        brackets->values = brackets->depth;
    return 1;
}

static int close_bracket(brackets_t *brackets, int token)
{
    if (brackets->closing[--brackets->depth] != token)
        return 0;
    if (brackets->depth < brackets->values)
        brackets->values = 0;
    return 1;
}

/* Selections have no values, so that no JSON passes for them; and values have no spreads. */
static int is_in_place(const brackets_t *brackets, int token)
{
    if (brackets->values)
        return token != '.';
    return token == TOKEN_NAME || (token < TOKEN_END && strchr(".:@({}", token));
}

/* From an opening bracket to behind the closing one; something must be between. */
static int skip_brackets(reader_t *reader)
{
    brackets_t brackets;
    apr_size_t tokens = 0;

    brackets.depth = brackets.values = 0;
    do {
        int token = reader->token, right = 1;

        if (token == TOKEN_END || token == TOKEN_WRONG || !is_in_place(&brackets, token))
            return 0;
        if (token == '(' || token == '[' || token == '{')
            right = open_bracket(&brackets, token);
        else if (token == ')' || token == ']' || token == '}')
            right = tokens != 1 && close_bracket(&brackets, token);
        if (!right)
            return 0;
        tokens++;
        next(reader);
    } while (brackets.depth);
    return 1;
}

static int skip_directives(reader_t *reader)
{
    while (reader->token == '@') {
        next(reader);
        if (reader->token != TOKEN_NAME)
            return 0;
        next(reader);
        if (reader->token == '(' && !skip_brackets(reader))
            return 0;
    }
    return 1;
}

static int skip_selections(reader_t *reader)
{
    return skip_directives(reader) && reader->token == '{' && skip_brackets(reader);
}

/* Behind the word `fragment`. */
static int skip_fragment(reader_t *reader)
{
    if (reader->token != TOKEN_NAME || is_word(reader, "on"))
        return 0;
    next(reader);
    if (!is_word(reader, "on"))
        return 0;
    next(reader);
    if (reader->token != TOKEN_NAME)
        return 0;
    next(reader);
    return skip_selections(reader);
}

static int read_operation(reader_t *reader, etv_graphql_operation_t *operation)
{
    operation->name = NULL;
    operation->name_len = 0;
    operation->kind = ETV_GRAPHQL_QUERY;
    if (reader->token == '{')
        return skip_brackets(reader);
    if (is_word(reader, "mutation"))
        operation->kind = ETV_GRAPHQL_MUTATION;
    else if (is_word(reader, "subscription"))
        operation->kind = ETV_GRAPHQL_SUBSCRIPTION;
    else if (!is_word(reader, "query"))
        return 0;
    next(reader);
    if (reader->token == TOKEN_NAME) {
        operation->name = reader->text;
        operation->name_len = reader->len;
        next(reader);
    }
    if (reader->token == '(' && !skip_brackets(reader))
        return 0;
    return skip_selections(reader);
}

etv_graphql_find_e etv_graphql_document_find(const char *text, apr_size_t len, const char *wanted,
                                             apr_size_t wanted_len,
                                             etv_graphql_operation_t *operation)
{
    reader_t reader = {text, text + len, TOKEN_END, NULL, 0};
    etv_graphql_operation_t one;
    apr_size_t all = 0, anonymous = 0, right = 0;
    int mutations = 0;

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        reader.at += 3;
    next(&reader);
    while (reader.token != TOKEN_END) {
        if (is_word(&reader, "fragment")) {
            next(&reader);
            if (!skip_fragment(&reader))
                return ETV_GRAPHQL_MALFORMED;
            continue;
        }
        if (!read_operation(&reader, &one))
            return ETV_GRAPHQL_MALFORMED;
        all++;
        anonymous += !one.name;
        mutations |= one.kind == ETV_GRAPHQL_MUTATION;
        if (wanted &&
            (!one.name || one.name_len != wanted_len || memcmp(one.name, wanted, wanted_len) != 0))
            continue;
        right++;
        *operation = one;
    }
    if ((anonymous && all > 1) || right > 1)
        return ETV_GRAPHQL_AMBIGUOUS;
    operation->beside_mutation = mutations;
    return right ? ETV_GRAPHQL_FOUND : ETV_GRAPHQL_ABSENT;
}
