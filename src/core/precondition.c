/* SPDX-License-Identifier: Apache-2.0 */
#include "core/precondition.h"

#include <string.h>

#include "core/accept_encoding.h"
#include "core/entity_tag.h"
#include "core/http_date.h"
#include "core/http_text.h"
#include "core/tag.h"

/* An honest list has one of each coding; to judge more would only cost time. */
#define CODED_MOST 4

/* One evaluation. */
typedef struct {
    apr_pool_t *p;
    const etv_selected_t *selected;
    const char *matched; /* the tag of a 304; that of the 200 unless If-None-Match says otherwise */
} evaluation_t;

/* The selected representation's tags, taken apart for If-None-Match. */
typedef struct {
    etv_entity_tag_t final;
    etv_entity_tag_t identity;
    int has_final;
    int has_identity;
    int by_digest; /* `parts` may be compared */
    int readable;  /* the final tag may match: nothing says that the client cannot read it */
    etv_entity_tag_own_t parts;
    int coded; /* how many members with a coding were judged */
} held_t;

/* One entity-tag that is the whole value; a list of one with a comma is none. NULL is none. */
static int read_tag(const char *value, etv_entity_tag_t *tag)
{
    const char *cursor;

    if (!value) {
        return 0;
    }
    value = cursor = etv_http_text_skip_ows(value);
    return *value != ',' && etv_entity_tag_next(value, &cursor, tag) == ETV_ENTITY_TAG_ONE &&
           *cursor == '\0';
}

/* httpd encoded what the application sent. */
static int is_encoded(const etv_selected_t *selected)
{
    return selected->encoded ||
           (selected->identity_etag &&
            (!selected->etag || strcmp(selected->identity_etag, selected->etag) != 0));
}

/* §13.1.1. A field without any tag that can be read is present and matches nothing. */
static int if_match(evaluation_t *e, const char *value)
{
    etv_entity_tag_t final, identity, tag;
    int has_final = read_tag(e->selected->etag, &final);
    int has_identity = read_tag(e->selected->identity_etag, &identity);
    const char *cursor = value;
    etv_entity_tag_next_e next;

    while ((next = etv_entity_tag_next(value, &cursor, &tag)) == ETV_ENTITY_TAG_ONE) {
        if ((has_final && etv_entity_tag_equal_strong(&tag, &final)) ||
            (has_identity && etv_entity_tag_equal_strong(&tag, &identity))) {
            return 1;
        }
    }
    return next == ETV_ENTITY_TAG_ANY;
}

static void hold(held_t *held, const etv_selected_t *selected)
{
    held->has_final = read_tag(selected->etag, &held->final);
    held->has_identity = read_tag(selected->identity_etag, &held->identity);
    held->by_digest =
        selected->own && held->has_final && etv_entity_tag_own(&held->final, &held->parts);
    held->coded = 0;
    /* A backend may encode for clients that never asked: a 304 must not confirm that. */
    held->readable =
        held->has_final && (!held->by_digest || !held->parts.coding ||
                            etv_accept_encoding_allows(selected->accept_encoding,
                                                       held->parts.coding, held->parts.coding_len));
}

/*
 * The text of a member that is not the final tag and yet names what was selected, in another coding
 * or before httpd encoded it; NULL when it names something else. A shared cache that gets a 304
 * serves what it stored under this tag, so the request must be able to read that coding.
 */
static const char *other_form(const evaluation_t *e, held_t *held, const etv_entity_tag_t *tag)
{
    const etv_selected_t *selected = e->selected;
    int is_identity = held->has_identity && etv_entity_tag_equal_weak(tag, &held->identity);
    etv_entity_tag_own_t own;

    if (!held->by_digest) {
        return is_identity ? selected->identity_etag : NULL;
    }
    if (!etv_entity_tag_own(tag, &own) || !etv_entity_tag_own_same(&own, &held->parts)) {
        return NULL;
    }
    if (own.coding &&
        (held->coded++ >= CODED_MOST ||
         !etv_accept_encoding_allows(selected->accept_encoding, own.coding, own.coding_len))) {
        return NULL;
    }
    return is_identity ? selected->identity_etag : etv_tag_write_own(e->p, &own, 1);
}

/* §13.1.2: false when a member matches. The tag of the 200 is the best to name (§15.4.5), wherever
 * it stands in the list; else the first that matches. */
static int if_none_match(evaluation_t *e, const char *value)
{
    const char *cursor = value;
    const char *other = NULL;
    etv_entity_tag_next_e next;
    etv_entity_tag_t tag;
    held_t held;

    hold(&held, e->selected);
    while ((next = etv_entity_tag_next(value, &cursor, &tag)) == ETV_ENTITY_TAG_ONE) {
        if (held.readable && etv_entity_tag_equal_weak(&tag, &held.final)) {
            return 0;
        }
        if (!other) {
            other = other_form(e, &held, &tag);
        }
    }
    if (other) {
        e->matched = other;
    }
    return !other && next != ETV_ENTITY_TAG_ANY;
}

/* Whether there are two dates to compare: without both, a condition is as if absent (§13.1.3,
 * §13.1.4). */
static int read_dates(const evaluation_t *e, const char *value, etv_http_date_t *given,
                      etv_http_date_t *modified)
{
    return etv_http_date_parse(value, given) &&
           etv_http_date_parse(e->selected->last_modified, modified);
}

/* §13.1.3. A date in the future is a date. */
static int if_modified_since(evaluation_t *e, const char *value)
{
    etv_http_date_t given, modified;

    return !read_dates(e, value, &given, &modified) || modified > given;
}

/* §13.1.4 */
static int if_unmodified_since(evaluation_t *e, const char *value)
{
    etv_http_date_t given, modified;

    return !read_dates(e, value, &given, &modified) || modified <= given;
}

/*
 * §13.1.5. Neither validator promises the same bytes in every case: a version tag speaks of data,
 * even when it is written strong; and what httpd encodes is encoded anew each time, under the same
 * modification date (§8.8.2.2).
 */
static int if_range(const evaluation_t *e, const char *value)
{
    etv_http_date_t given, modified;
    etv_entity_tag_t tag, final;
    etv_entity_tag_own_t own;

    if (read_tag(value, &tag)) {
        return read_tag(e->selected->etag, &final) && etv_entity_tag_equal_strong(&tag, &final) &&
               !(etv_entity_tag_own(&tag, &own) && (own.letter == 'v' || own.letter == 'u'));
    }
    return !is_encoded(e->selected) && read_dates(e, value, &given, &modified) && modified == given;
}

/*
 * §13.2.2, steps 1 to 4. A step without its field, or beside the field that makes it ignored, is
 * passed over; the first that is false decides.
 */
static etv_precondition_e decide(evaluation_t *e, const etv_conditions_t *c)
{
    const struct {
        const char *field, *unless;
        int (*is_true)(evaluation_t *, const char *);
        etv_precondition_e otherwise;
    } steps[] = {
        {c->if_match, NULL, if_match, ETV_PRECONDITION_FAILED},
        {c->if_unmodified_since, c->if_match, if_unmodified_since, ETV_PRECONDITION_FAILED},
        {c->if_none_match, NULL, if_none_match, ETV_PRECONDITION_NOT_MODIFIED},
        {c->if_modified_since, c->if_none_match, if_modified_since, ETV_PRECONDITION_NOT_MODIFIED},
    };

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].field && !steps[i].unless && !steps[i].is_true(e, steps[i].field)) {
            return steps[i].otherwise;
        }
    }
    return ETV_PRECONDITION_SEND;
}

etv_precondition_t etv_precondition_evaluate(apr_pool_t *p, const etv_conditions_t *c,
                                             const etv_selected_t *selected)
{
    evaluation_t e = {p, selected, selected->etag};
    etv_precondition_t result = {ETV_PRECONDITION_SEND, NULL, 0};

    if (etv_conditions_any(c)) {
        result.decision = decide(&e, c);
    }
    if (result.decision == ETV_PRECONDITION_NOT_MODIFIED) {
        result.etag = e.matched;
    } else if (result.decision == ETV_PRECONDITION_SEND && c->range) {
        /* Step 5; an If-Range without a Range is ignored (§13.1.5). */
        result.use_range = !c->if_range || if_range(&e, c->if_range);
    }
    return result;
}

int etv_precondition_is_content_tag(const char *value)
{
    etv_entity_tag_t tag;
    etv_entity_tag_own_t own;

    return read_tag(value, &tag) && etv_entity_tag_own(&tag, &own) && own.letter == 'c';
}
