/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cache_control.h"

#include <string.h>

#include <apr_strings.h>

#include "core/cache_directive.h"
#include "core/http_text.h"
#include "core/vary.h"

#define ENTRIES_MOST (ETV_CACHE_KNOWN + ETV_CACHE_CONTROL_MOST)

typedef struct {
    int count;
    struct {
        etv_cache_directive_kind_e kind;
        etv_cache_directive_t d;
    } entries[ENTRIES_MOST];    /* in order of appearance; ETV_CACHE_UNKNOWN and lists may repeat a
                                   kind */
    int first[ETV_CACHE_KNOWN]; /* index of the first entry of a kind + 1; 0: absent */
    int listed;                 /* entries that count towards ETV_CACHE_CONTROL_MOST */
    int bare[ETV_CACHE_KNOWN];  /* the directive appeared in its bare form */
    int side_has[2][ETV_CACHE_KNOWN];
    apr_int64_t side_life[2][ETV_CACHE_LIFETIMES]; /* smallest of the side, or ETV_CACHE_ABSENT */
    int too_many;
} merge_t;

static void merge_push(merge_t *m, etv_cache_directive_kind_e kind, const etv_cache_directive_t *d)
{
    m->entries[m->count].kind = kind;
    m->entries[m->count].d = *d;
    m->count++;
    if (kind != ETV_CACHE_UNKNOWN && !m->first[kind]) {
        m->first[kind] = m->count;
    }
}

/* An unknown directive or one with a list of fields: kept once for each argument. */
static void merge_add_listed(merge_t *m, etv_cache_directive_kind_e kind,
                             const etv_cache_directive_t *d)
{
    for (int i = 0; i < m->count; i++) {
        const etv_cache_directive_t *e = &m->entries[i].d;

        if (m->entries[i].kind == kind && e->arg_kind == d->arg_kind && e->arg_len == d->arg_len &&
            etv_http_text_same_name(e->name, e->name_len, d->name, d->name_len) &&
            (d->arg_len == 0 || memcmp(e->arg, d->arg, d->arg_len) == 0)) {
            return;
        }
    }
    if (m->listed == ETV_CACHE_CONTROL_MOST) {
        m->too_many = 1;
        return;
    }
    m->listed++;
    merge_push(m, kind, d);
}

static void merge_add(merge_t *m, apr_pool_t *p, int side, const char *field)
{
    etv_cache_directive_t d;
    int listed = 0;

    for (int i = 0; i < ETV_CACHE_LIFETIMES; i++) {
        m->side_life[side][i] = ETV_CACHE_ABSENT;
    }
    while (field && !m->too_many && etv_cache_directive_next(&field, &d)) {
        etv_cache_directive_kind_e kind = etv_cache_directive_kind(&d);

        if (kind != ETV_CACHE_UNKNOWN) {
            m->side_has[side][kind] = 1;
        }
        if (kind == ETV_CACHE_UNKNOWN ||
            ((kind == ETV_CACHE_PRIVATE || kind == ETV_CACHE_NO_CACHE) &&
             etv_cache_directive_has_field_list(&d))) {
            /* Counted with repetitions, so that the work stays linear. */
            m->too_many = ++listed > ETV_CACHE_CONTROL_MOST;
            if (!m->too_many) {
                etv_cache_directive_repair(&d, p);
                merge_add_listed(m, kind, &d);
            }
            continue;
        }
        if (kind < ETV_CACHE_LIFETIMES) {
            apr_int64_t *life = &m->side_life[side][kind];
            apr_int64_t n = etv_cache_directive_seconds(&d);

            /* RFC 9111 §4.2.1: an invalid lifetime makes the response stale. */
            n = n == ETV_CACHE_ABSENT ? 0 : n;
            *life = *life == ETV_CACHE_ABSENT || n < *life ? n : *life;
        }
        m->bare[kind] = 1;
        if (!m->first[kind]) {
            merge_push(m, kind, &d);
        }
    }
}

static apr_int64_t smaller(apr_int64_t a, apr_int64_t b)
{
    if (a == ETV_CACHE_ABSENT || b == ETV_CACHE_ABSENT) {
        return a == ETV_CACHE_ABSENT ? b : a;
    }
    return a < b ? a : b;
}

static apr_int64_t merged_life(const merge_t *m, etv_cache_directive_kind_e kind)
{
    apr_int64_t life[2];

    for (int side = 0; side < 2; side++) {
        life[side] = m->side_life[side][kind];
        /* RFC 9111 §4.2.1: shared caches fall back to max-age. One side's max-age must not be
         * lengthened for them by the other side's s-maxage. */
        if (kind == ETV_CACHE_S_MAXAGE && life[side] == ETV_CACHE_ABSENT) {
            life[side] = m->side_life[side][ETV_CACHE_MAX_AGE];
        }
    }
    return smaller(life[0], life[1]);
}

/* Whether a side said how long it may be used, and had nothing to say about using it stale. */
static int refuses_stale(const merge_t *m, int side, etv_cache_directive_kind_e kind)
{
    const int *has = m->side_has[side];

    return !has[kind] &&
           (has[ETV_CACHE_MAX_AGE] || has[ETV_CACHE_S_MAXAGE] || has[ETV_CACHE_NO_CACHE] ||
            has[ETV_CACHE_NO_STORE] || has[ETV_CACHE_MUST_REVALIDATE]);
}

/* Whether a directive of this kind gives way to a stricter one. */
static int gives_way(const merge_t *m, etv_cache_directive_kind_e kind)
{
    switch (kind) {
    case ETV_CACHE_PUBLIC:
        return m->first[ETV_CACHE_PRIVATE] != 0;
    case ETV_CACHE_STALE_WHILE_REVALIDATE:
    case ETV_CACHE_STALE_IF_ERROR:
        /* RFC 5861: both let a cache serve what one side's lifetime calls stale. */
        return refuses_stale(m, 0, kind) || refuses_stale(m, 1, kind);
    case ETV_CACHE_IMMUTABLE:
        /* RFC 8246 §2: immutable speaks of the time while fresh, and there is none. */
        return m->first[ETV_CACHE_MAX_AGE] && merged_life(m, ETV_CACHE_MAX_AGE) == 0;
    case ETV_CACHE_MUST_UNDERSTAND:
        /* RFC 9111 §5.2.2.3: caches that know must-understand ignore a no-store beside it. So a
         * side's no-store that stood alone would be undone by the other side's must-understand. */
        return (m->side_has[0][ETV_CACHE_NO_STORE] && !m->side_has[0][ETV_CACHE_MUST_UNDERSTAND]) ||
               (m->side_has[1][ETV_CACHE_NO_STORE] && !m->side_has[1][ETV_CACHE_MUST_UNDERSTAND]);
    default:
        return 0;
    }
}

/* The union of all lists of one kind; NULL when only the bare form says as much. */
static const char *united_list(const merge_t *m, etv_cache_directive_kind_e kind, apr_pool_t *p)
{
    apr_size_t size = 1;
    char *text, *at;
    const char *names;

    if (m->bare[kind]) {
        return NULL;
    }
    for (int i = 0; i < m->count; i++) {
        size += m->entries[i].kind == kind ? m->entries[i].d.arg_len + 1 : 0;
    }
    at = text = apr_palloc(p, size);
    for (int i = 0; i < m->count; i++) {
        if (m->entries[i].kind == kind) {
            memcpy(at, m->entries[i].d.arg, m->entries[i].d.arg_len);
            at += m->entries[i].d.arg_len;
            *at++ = ',';
        }
    }
    *at = '\0';
    names = etv_vary_union(p, text, NULL);
    return names && strcmp(names, "*") != 0 ? names : NULL;
}

/* Turn an entry into what it is in the result. */
static void settle(const merge_t *m, apr_pool_t *p, etv_cache_directive_kind_e kind,
                   etv_cache_directive_t *d)
{
    if (kind == ETV_CACHE_UNKNOWN) {
        return;
    }
    d->arg = NULL;
    d->arg_kind = ETV_CACHE_ARG_NONE;
    if (kind < ETV_CACHE_LIFETIMES) {
        d->arg = apr_psprintf(p, "%" APR_INT64_T_FMT, merged_life(m, kind));
        d->arg_kind = ETV_CACHE_ARG_TOKEN;
    } else if (kind < ETV_CACHE_LISTS_END && (d->arg = united_list(m, kind, p))) {
        d->arg_kind = ETV_CACHE_ARG_QUOTED;
    }
    d->arg_len = d->arg ? strlen(d->arg) : 0;
}

const char *etv_cache_control_merge(apr_pool_t *p, const char *a, const char *b)
{
    merge_t m;
    etv_cache_directive_t out[ENTRIES_MOST];
    apr_size_t size = 1;
    int n = 0;
    char *text, *at;

    m.count = m.listed = m.too_many = 0;
    memset(m.first, 0, sizeof(m.first));
    memset(m.bare, 0, sizeof(m.bare));
    memset(m.side_has, 0, sizeof(m.side_has));
    merge_add(&m, p, 0, a);
    merge_add(&m, p, 1, b);
    if (m.too_many) {
        return "no-store";
    }
    if (m.count == 0) {
        return NULL;
    }
    for (int i = 0; i < m.count; i++) {
        etv_cache_directive_kind_e kind = m.entries[i].kind;

        if (kind == ETV_CACHE_UNKNOWN || (m.first[kind] == i + 1 && !gives_way(&m, kind))) {
            out[n] = m.entries[i].d;
            settle(&m, p, kind, &out[n]);
            size += etv_cache_directive_written_most(&out[n++]);
        }
    }
    at = text = apr_palloc(p, size);
    for (int i = 0; i < n; i++) {
        at = etv_cache_directive_write(at, &out[i], i == 0);
    }
    *at = '\0';
    return text;
}
