/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <apr_strings.h>

#include "core/accept_encoding.h"
#include "core/entity_tag.h"
#include "core/http_date.h"
#include "core/precondition.h"

#define SEND ETV_PRECONDITION_SEND
#define SAME ETV_PRECONDITION_NOT_MODIFIED
#define FAIL ETV_PRECONDITION_FAILED

/* The whole value is one tag. */
static int is_tag(const char *value, etv_entity_tag_t *tag)
{
    const char *cursor = value;

    return value && value[strspn(value, " \t")] != ',' &&
           etv_entity_tag_next(value, &cursor, tag) == ETV_ENTITY_TAG_ONE && !*cursor;
}

static int is_date(const char *value)
{
    etv_http_date_t date;

    return etv_http_date_parse(value, &date);
}

static int is_any(const char *value)
{
    const char *cursor = value;
    etv_entity_tag_t tag;

    return value && etv_entity_tag_next(value, &cursor, &tag) == ETV_ENTITY_TAG_ANY;
}

static int is_same(const etv_precondition_t *a, const etv_precondition_t *b)
{
    return a->decision == b->decision && a->use_range == b->use_range &&
           etv_fuzz_same(a->etag, b->etag);
}

/* A tag that was written for a 304: weak, ours, the same digest, in a coding that is accepted. */
static void check_written(const char *text, const etv_selected_t *s)
{
    etv_entity_tag_t tag, held;
    etv_entity_tag_own_t own, held_own;

    ETV_MUST(s->own);
    ETV_MUST(is_tag(text, &tag) && tag.weak && etv_entity_tag_own(&tag, &own));
    ETV_MUST(is_tag(s->etag, &held) && etv_entity_tag_own(&held, &held_own));
    ETV_MUST(own.letter == held_own.letter);
    ETV_MUST(memcmp(own.digest, held_own.digest, ETV_ENTITY_TAG_DIGEST_CHARS) == 0);
    ETV_MUST(!etv_entity_tag_equal_weak(&tag, &held));
    ETV_MUST(!own.coding ||
             etv_accept_encoding_allows(s->accept_encoding, own.coding, own.coding_len));
}

static void check_result(const etv_conditions_t *c, const etv_selected_t *s,
                         const etv_precondition_t *result)
{
    switch (result->decision) {
    case SEND:
        ETV_MUST(!result->etag);
        ETV_MUST(!is_any(c->if_none_match));
        ETV_MUST(!result->use_range || c->range);
        ETV_MUST(!c->range || c->if_range || result->use_range);
        ETV_MUST(!result->use_range || !c->if_range || is_date(c->if_range) ||
                 strchr(c->if_range, '"'));
        break;
    case SAME:
        ETV_MUST(c->if_none_match || c->if_modified_since);
        ETV_MUST(!result->use_range);
        if (result->etag != s->etag && result->etag != s->identity_etag) {
            ETV_MUST(c->if_none_match);
            check_written(result->etag, s);
        }
        if (!c->if_none_match) {
            ETV_MUST(result->etag == s->etag);
            ETV_MUST(is_date(c->if_modified_since) && is_date(s->last_modified));
        }
        break;
    case FAIL:
        ETV_MUST(c->if_match || c->if_unmodified_since);
        ETV_MUST(!is_any(c->if_match));
        ETV_MUST(!result->use_range && !result->etag);
        if (!c->if_match) {
            ETV_MUST(is_date(c->if_unmodified_since) && is_date(s->last_modified));
        }
        break;
    default:
        abort();
    }
}

/* What §13.2.2 says is not looked at changes nothing. */
static void check_order(apr_pool_t *p, const etv_conditions_t *c, const etv_selected_t *s,
                        const etv_precondition_t *result)
{
    etv_conditions_t other = *c;
    etv_precondition_t again;

    if (c->if_match) {
        other.if_unmodified_since = NULL;
    }
    if (c->if_none_match) {
        other.if_modified_since = NULL;
    }
    if (!c->range) {
        other.if_range = NULL;
    }
    again = etv_precondition_evaluate(p, &other, s);
    ETV_MUST(is_same(&again, result));
    /* a 412 depends on two fields only */
    other.if_none_match = other.if_modified_since = NULL;
    again = etv_precondition_evaluate(p, &other, s);
    ETV_MUST((again.decision == FAIL) == (result->decision == FAIL));
    ETV_MUST(again.decision != SAME);
    /* without a condition there is only the range */
    other.if_match = other.if_unmodified_since = NULL;
    again = etv_precondition_evaluate(NULL, &other, s);
    ETV_MUST(again.decision == SEND && !again.etag);
    ETV_MUST(result->decision != SEND || again.use_range == result->use_range);
}

/* What a client that holds exactly this representation gets. */
static void check_own_validators(const etv_selected_t *s)
{
    etv_conditions_t none_match = {.if_none_match = s->etag};
    etv_conditions_t match = {.if_match = s->etag};
    etv_conditions_t range = {.range = "bytes=0-", .if_range = s->etag};
    etv_conditions_t modified = {.if_modified_since = s->last_modified};
    etv_conditions_t unmodified = {.if_unmodified_since = s->last_modified};
    etv_entity_tag_t tag;
    etv_entity_tag_own_t own;
    etv_precondition_t result;

    if (is_tag(s->etag, &tag)) {
        result = etv_precondition_evaluate(NULL, &none_match, s);
        if (s->own && etv_entity_tag_own(&tag, &own) && own.coding &&
            !etv_accept_encoding_allows(s->accept_encoding, own.coding, own.coding_len)) {
            ETV_MUST(result.decision == SEND);
        } else {
            ETV_MUST(result.decision == SAME && result.etag == s->etag);
        }
        result = etv_precondition_evaluate(NULL, &match, s);
        ETV_MUST(result.decision == (tag.weak ? FAIL : SEND));
        result = etv_precondition_evaluate(NULL, &range, s);
        ETV_MUST(result.use_range ==
                 (!tag.weak && !(etv_entity_tag_own(&tag, &own) && strchr("vu", own.letter))));
    }
    if (is_date(s->last_modified)) {
        result = etv_precondition_evaluate(NULL, &modified, s);
        ETV_MUST(result.decision == SAME && result.etag == s->etag);
        result = etv_precondition_evaluate(NULL, &unmodified, s);
        ETV_MUST(result.decision == SEND);
    }
}

/* A list that matches does so whatever follows it, and whatever tag comes before it. */
static void check_list(apr_pool_t *p, const etv_conditions_t *c, const etv_selected_t *s)
{
    etv_conditions_t one = {.if_none_match = c->if_none_match};
    etv_precondition_t result = etv_precondition_evaluate(p, &one, s), again;

    if (!c->if_none_match || is_any(c->if_none_match)) {
        return;
    }
    one.if_none_match = apr_pstrcat(p, "\"\x80 no tag's \x80\", ", c->if_none_match, NULL);
    again = etv_precondition_evaluate(p, &one, s);
    ETV_MUST(again.decision == SEND); /* a space in quotes is not the grammar */
    one.if_none_match = apr_pstrcat(p, "\"\x80\x81\x82\", ", c->if_none_match, NULL);
    again = etv_precondition_evaluate(p, &one, s);
    ETV_MUST(again.decision == result.decision || strstr(s->etag ? s->etag : "", "\x80\x81\x82") ||
             strstr(s->identity_etag ? s->identity_etag : "", "\x80\x81\x82"));
    one.if_none_match = apr_pstrcat(p, c->if_none_match, ", nonsense", NULL);
    again = etv_precondition_evaluate(p, &one, s);
    ETV_MUST(again.decision == result.decision);
}

static void check(etv_conditions_t *c, etv_selected_t *s)
{
    apr_pool_t *p = etv_fuzz_pool();

    for (s->own = 0; s->own <= 1; s->own++) {
        etv_precondition_t result = etv_precondition_evaluate(p, c, s);

        check_result(c, s, &result);
        check_order(p, c, s, &result);
        check_list(p, c, s);
        check_own_validators(s);
    }
    if (etv_precondition_is_content_tag(c->if_range)) {
        etv_entity_tag_t tag;
        etv_entity_tag_own_t own;

        ETV_MUST(is_tag(c->if_range, &tag) && etv_entity_tag_own(&tag, &own));
        ETV_MUST(own.letter == 'c');
    }
}

/* One line each; a line that is missing or a lone dash is an absent field. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    etv_conditions_t c;
    etv_selected_t s;
    char *lines[10];

    for (int i = 0; i < 10; i++) {
        lines[i] = etv_fuzz_line(&data, &size);
        if (lines[i] && strcmp(lines[i], "-") == 0) {
            free(lines[i]);
            lines[i] = NULL;
        }
    }
    c.if_match = lines[0];
    c.if_none_match = lines[1];
    c.if_modified_since = lines[2];
    c.if_unmodified_since = lines[3];
    c.range = lines[4];
    c.if_range = lines[5];
    s.etag = lines[6];
    s.identity_etag = lines[7];
    s.last_modified = lines[8];
    s.accept_encoding = lines[9];
    check(&c, &s);
    for (int i = 0; i < 10; i++) {
        free(lines[i]);
    }
    return 0;
}
