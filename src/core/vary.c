/* SPDX-License-Identifier: Apache-2.0 */
#include "core/vary.h"

#include <string.h>

#include "core/http_text.h"

typedef struct {
    const char *name;
    apr_size_t len;
} member_t;

/* The distinct names of one or two values, in order of appearance. */
typedef struct {
    member_t names[ETV_VARY_MOST];
    int count;
    int any; /* `*` appeared, or more members than we handle */
} set_t;

int etv_vary_next(const char **cursor, const char **name, apr_size_t *len)
{
    const char *at = *cursor;
    const char *end;

    if (!at) {
        return 0;
    }
    /* RFC 9110 §5.6.1.2: empty members count for nothing. */
    while (*at == ',' || etv_http_text_is_ows(*at)) {
        at++;
    }
    end = at + strcspn(at, ",");
    *cursor = end;
    if (end == at) {
        return 0;
    }
    while (etv_http_text_is_ows(end[-1])) {
        end--;
    }
    *name = at;
    *len = (apr_size_t)(end - at);
    return 1;
}

static int is_any(const char *name, apr_size_t len)
{
    return len == 1 && *name == '*';
}

int etv_vary_has(const char *field, const char *name)
{
    apr_size_t name_len = strlen(name);
    const char *member;
    apr_size_t len;

    while (etv_vary_next(&field, &member, &len)) {
        if (!is_any(member, len) && etv_http_text_same_name(member, len, name, name_len)) {
            return 1;
        }
    }
    return 0;
}

int etv_vary_has_any(const char *field)
{
    const char *member;
    apr_size_t len;
    int count = 0;

    while (etv_vary_next(&field, &member, &len)) {
        if (is_any(member, len) || ++count > ETV_VARY_MOST) {
            return 1;
        }
    }
    return 0;
}

static int set_has(const set_t *set, const char *name, apr_size_t len)
{
    for (int i = 0; i < set->count; i++) {
        if (etv_http_text_same_name(set->names[i].name, set->names[i].len, name, len)) {
            return 1;
        }
    }
    return 0;
}

static void set_add(set_t *set, const char *field)
{
    const char *member;
    apr_size_t len;
    int members = 0;

    while (!set->any && etv_vary_next(&field, &member, &len)) {
        /* The limit on members, not only on distinct names, keeps the work linear. */
        if (is_any(member, len) || ++members > ETV_VARY_MOST) {
            set->any = 1;
        } else if (!set_has(set, member, len)) {
            if (set->count == ETV_VARY_MOST) {
                set->any = 1;
                return;
            }
            set->names[set->count].name = member;
            set->names[set->count++].len = len;
        }
    }
}

/* Whether `text` is what set_write would make of the set. */
static int set_is_written_as(const set_t *set, const char *text)
{
    if (!text) {
        return 0;
    }
    for (int i = 0; i < set->count; i++) {
        const member_t *m = &set->names[i];

        if (i && (*text++ != ',' || *text++ != ' ')) {
            return 0;
        }
        if (strncmp(text, m->name, m->len) != 0) {
            return 0;
        }
        text += m->len;
    }
    return *text == '\0';
}

static const char *set_write(const set_t *set, apr_pool_t *p)
{
    apr_size_t size = 1;
    char *text, *at;

    for (int i = 0; i < set->count; i++) {
        size += set->names[i].len + 2;
    }
    at = text = apr_palloc(p, size);
    for (int i = 0; i < set->count; i++) {
        if (i) {
            *at++ = ',';
            *at++ = ' ';
        }
        memcpy(at, set->names[i].name, set->names[i].len);
        at += set->names[i].len;
    }
    *at = '\0';
    return text;
}

const char *etv_vary_union(apr_pool_t *p, const char *a, const char *b)
{
    set_t set;

    set.count = set.any = 0;
    set_add(&set, a);
    set_add(&set, b);
    if (set.any) {
        return "*";
    }
    if (set.count == 0) {
        return NULL;
    }
    if (set_is_written_as(&set, a)) {
        return a;
    }
    if (set_is_written_as(&set, b)) {
        return b;
    }
    return set_write(&set, p);
}

int etv_vary_same(const char *a, const char *b)
{
    set_t set;
    int count_a;

    set.count = set.any = 0;
    set_add(&set, a);
    if (set.any) {
        return etv_vary_has_any(b);
    }
    if (etv_vary_has_any(b)) {
        return 0;
    }
    /* Same set: b adds nothing to a, and a adds nothing to b. */
    count_a = set.count;
    set_add(&set, b);
    if (set.any || set.count != count_a) {
        return 0;
    }
    set.count = 0;
    set_add(&set, b);
    return set.count == count_a;
}

int etv_vary_is_field_name(const char *name)
{
    if (!name || !*name) {
        return 0;
    }
    while (etv_http_text_is_tchar(*name)) {
        name++;
    }
    return *name == '\0';
}
