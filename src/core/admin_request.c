/* SPDX-License-Identifier: Apache-2.0 */
#include "core/admin_request.h"

#include <string.h>

#include <apr_strings.h>
#include <jansson.h>

#include "core/http_text.h"
#include "core/model_name.h"

/* Objects in a list in an object, and room for a mistake to be told as one. */
#define DEPTH_MOST 8

/* --- one bump --- */

/* jansson makes no string of anything else. */
static int is_utf8(const char *text, apr_size_t len)
{
    json_t *string = json_stringn(text, len);

    json_decref(string);
    return string != NULL;
}

static int is_digest(const char *text, apr_size_t len)
{
    if (!len || len > ETV_ADMIN_DIGEST_MOST)
        return 0;
    for (apr_size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return 0;
    }
    return 1;
}

static int same_digest(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

const char *etv_admin_request_add(apr_pool_t *p, etv_admin_request_t *request, const char *model,
                                  apr_size_t model_len, const char *digest, apr_size_t digest_len)
{
    etv_admin_bump_t bump;

    /* Looked at before it is copied: what is too long need not be. */
    if (!model_len || model_len > ETV_MODEL_NAME_MOST || memchr(model, '\0', model_len))
        return "a model's name has 1 to 256 bytes, none of them a control character";
    bump.model = apr_pstrmemdup(p, model, model_len);
    bump.model_len = model_len;
    bump.digest = NULL;
    if (!etv_model_name_is_right(bump.model, model_len))
        return "a model's name has no control characters, and no % in front";
    if (!is_utf8(model, model_len))
        return "a model's name must be UTF-8 here";
    if (digest) {
        if (!is_digest(digest, digest_len))
            return "if-digest has 1 to 128 visible ASCII characters";
        bump.digest = apr_pstrmemdup(p, digest, digest_len);
    }
    for (int i = 0; i < request->n; i++) {
        if (strcmp(request->bumps[i].model, bump.model) != 0)
            continue;
        return same_digest(request->bumps[i].digest, bump.digest)
                   ? NULL
                   : "a model is named twice, on different conditions";
    }
    if (request->n == ETV_ADMIN_BUMPS_MOST)
        return "at most 128 models may be named in one request";
    request->bumps[request->n++] = bump;
    return NULL;
}

/* --- application/x-www-form-urlencoded --- */

typedef struct {
    const char *text;
    apr_size_t len;
} span_t;

/* Returns 0 when a percent sign is not followed by two hexadecimal digits. */
static int decode(apr_pool_t *p, const char *text, apr_size_t len, span_t *decoded)
{
    char *to = apr_palloc(p, len + 1);

    decoded->text = to;
    for (apr_size_t i = 0; i < len; i++) {
        int high, low;

        if (text[i] != '%') {
            *to++ = text[i] == '+' ? ' ' : text[i];
            continue;
        }
        if (len - i < 3)
            return 0;
        high = etv_http_text_hex(text[i + 1]);
        low = etv_http_text_hex(text[i + 2]);
        if (high < 0 || low < 0)
            return 0;
        *to++ = (char)(high * 16 + low);
        i += 2;
    }
    *to = '\0';
    decoded->len = (apr_size_t)(to - decoded->text);
    return 1;
}

static int is_name(span_t name, const char *text)
{
    return name.len == strlen(text) && memcmp(name.text, text, name.len) == 0;
}

/* One form: the model that its condition would be for, and how many there are. */
typedef struct {
    int models;
    span_t digest; /* text NULL: none */
} form_t;

/* The next pair. Everything but the condition's model is added as it comes. */
static const char *take_pair(apr_pool_t *p, form_t *form, const char *text, apr_size_t len,
                             span_t *model)
{
    const char *equals = memchr(text, '=', len);
    apr_size_t name_len = equals ? (apr_size_t)(equals - text) : len;
    span_t name, value = {"", 0};

    if (!decode(p, text, name_len, &name) ||
        (equals && !decode(p, equals + 1, len - name_len - 1, &value)))
        return "a % must be followed by two hexadecimal digits";
    if (is_name(name, "model")) {
        *model = value;
        form->models++;
        return NULL;
    }
    if (!is_name(name, "if-digest"))
        return "the parameters are model and if-digest";
    if (form->digest.text)
        return "if-digest is given twice";
    form->digest = value;
    return NULL;
}

static const char *find_pairs(apr_pool_t *p, etv_admin_request_t *request, const char *text,
                              apr_size_t len, form_t *form, span_t *last)
{
    while (len) {
        const char *end = memchr(text, '&', len);
        apr_size_t pair_len = end ? (apr_size_t)(end - text) : len;
        int before = form->models;
        span_t model;
        const char *wrong = NULL;

        if (pair_len) {
            wrong = take_pair(p, form, text, pair_len, &model);
            if (!wrong && form->models > before) {
                if (last->text) /* the last one waits: a condition may follow */
                    wrong = etv_admin_request_add(p, request, last->text, last->len, NULL, 0);
                *last = model;
            }
        }
        if (wrong)
            return wrong;
        text += end ? pair_len + 1 : pair_len;
        len -= end ? pair_len + 1 : pair_len;
    }
    return NULL;
}

const char *etv_admin_request_form(apr_pool_t *p, etv_admin_request_t *request, const char *text,
                                   apr_size_t len)
{
    form_t form = {0, {NULL, 0}};
    span_t last = {NULL, 0};
    const char *wrong = find_pairs(p, request, text, len, &form, &last);

    if (wrong)
        return wrong;
    if (form.digest.text && form.models != 1)
        return "if-digest is a condition on one model: name exactly one beside it";
    return last.text ? etv_admin_request_add(p, request, last.text, last.len, form.digest.text,
                                             form.digest.len)
                     : NULL;
}

/* --- application/json --- */

/* jansson calls itself for each level: a thread's stack may be small. */
static int is_too_deep(const char *text, apr_size_t len)
{
    int depth = 0, quoted = 0;

    for (apr_size_t i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > DEPTH_MOST)
            return 1;
        else if (!quoted && (text[i] == ']' || text[i] == '}'))
            depth--;
    }
    return 0;
}

static const char *add_strings(apr_pool_t *p, etv_admin_request_t *request, const json_t *model,
                               const json_t *digest)
{
    if (!json_is_string(model) || (digest && !json_is_string(digest)))
        return "models and if-digest are strings";
    return etv_admin_request_add(p, request, json_string_value(model), json_string_length(model),
                                 digest ? json_string_value(digest) : NULL,
                                 digest ? json_string_length(digest) : 0);
}

/* An object of a model and perhaps its condition. */
static const char *add_object(apr_pool_t *p, etv_admin_request_t *request, const json_t *object)
{
    const json_t *model = json_object_get(object, "model");
    const json_t *digest = json_object_get(object, "if-digest");

    if (!model || json_object_size(object) != (digest ? 2 : 1))
        return "a bump is an object with the members model and perhaps if-digest";
    return add_strings(p, request, model, digest);
}

static const char *add_list(apr_pool_t *p, etv_admin_request_t *request, const json_t *list,
                            int objects)
{
    const char *wrong = NULL;

    if (!json_is_array(list))
        return "models and bumps are lists";
    for (apr_size_t i = 0; !wrong && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);

        wrong = objects ? add_object(p, request, item) : add_strings(p, request, item, NULL);
    }
    return wrong;
}

static const char *read_root(apr_pool_t *p, etv_admin_request_t *request, const json_t *root)
{
    const json_t *models = json_object_get(root, "models");
    const json_t *bumps = json_object_get(root, "bumps");

    if (!json_is_object(root))
        return "the body must be a JSON object";
    if (json_object_get(root, "model"))
        return add_object(p, request, root);
    if (json_object_size(root) != 1 || (!models && !bumps))
        return "the body is an object with one of the members models, bumps, and model";
    return add_list(p, request, models ? models : bumps, !models);
}

const char *etv_admin_request_json(apr_pool_t *p, etv_admin_request_t *request, const char *text,
                                   apr_size_t len)
{
    json_error_t error;
    json_t *root;
    const char *wrong;

    if (is_too_deep(text, len))
        return "the JSON is nested too deeply";
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        if (json_error_code(&error) == json_error_duplicate_key)
            return "a member of a JSON object is given twice";
        return apr_psprintf(p, "the body is no JSON object in UTF-8 (line %d, column %d)",
                            error.line, error.column);
    }
    wrong = read_root(p, request, root);
    json_decref(root);
    return wrong;
}
