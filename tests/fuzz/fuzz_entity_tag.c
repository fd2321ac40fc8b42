/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_fuzz.h"

#include <strings.h>

#include "core/entity_tag.h"

static void check_tag(const etv_entity_tag_t *tag)
{
    etv_entity_tag_own_t own;
    etv_entity_tag_t again = *tag;
    char text[256];
    int n;

    ETV_MUST(tag->weak == 0 || tag->weak == 1);
    for (apr_size_t i = 0; i < tag->len; i++) {
        unsigned char c = (unsigned char)tag->opaque[i];

        ETV_MUST(c == 0x21 || (c >= 0x23 && c != 0x7f));
    }
    ETV_MUST(tag->opaque[-1] == '"' && tag->opaque[tag->len] == '"');
    ETV_MUST(etv_entity_tag_equal_weak(tag, &again));
    ETV_MUST(etv_entity_tag_equal_strong(tag, &again) == !tag->weak);
    if (!etv_entity_tag_own(tag, &own)) {
        return;
    }
    /* put together again it is the same text */
    ETV_MUST(strchr("vuch", own.letter));
    ETV_MUST(!own.coding || (own.coding_len >= 1 && own.coding_len <= 64));
    ETV_MUST(!own.list || strchr("vu", own.letter));
    ETV_MUST(!own.fields || own.letter == 'u');
    ETV_MUST(etv_entity_tag_own_same(&own, &own));
    n = snprintf(text, sizeof(text), "%c%.*s%s%.*s%s%.*s%s%.*s", own.letter,
                 ETV_ENTITY_TAG_DIGEST_CHARS, own.digest, own.list ? "." : "",
                 own.list ? ETV_ENTITY_TAG_DIGEST_CHARS : 0, own.list ? own.list : "",
                 own.fields ? "~" : "", own.fields ? ETV_ENTITY_TAG_DIGEST_CHARS : 0,
                 own.fields ? own.fields : "", own.coding ? "-" : "", (int)own.coding_len,
                 own.coding ? own.coding : "");
    ETV_MUST(n == (int)tag->len && memcmp(text, tag->opaque, tag->len) == 0);
}

static void check_list(const char *field)
{
    const char *cursor = field;
    const char *before = cursor;
    const char *stars = field + strspn(field, " \t");
    etv_entity_tag_t tag;
    etv_entity_tag_next_e what;
    int any = *stars == '*' && stars[1 + strspn(stars + 1, " \t")] == '\0';
    int count = 0;

    while ((what = etv_entity_tag_next(field, &cursor, &tag)) == ETV_ENTITY_TAG_ONE) {
        ETV_MUST(cursor > before && cursor <= field + strlen(field));
        ETV_MUST(tag.opaque > before && tag.opaque + tag.len < cursor);
        ETV_MUST(*cursor == ',' || *cursor == '\0');
        before = cursor;
        count++;
        check_tag(&tag);
    }
    ETV_MUST((what == ETV_ENTITY_TAG_ANY) == any);
    ETV_MUST(!any || count == 0);
    ETV_MUST(*cursor == '\0');
    ETV_MUST(etv_entity_tag_next(field, &cursor, &tag) == ETV_ENTITY_TAG_END);
}

/* Putting a tag before a list adds exactly this member. */
static void check_prefix(const char *field)
{
    static const char first[] = "\"x\", ";
    char *longer = malloc(sizeof(first) + strlen(field));
    const char *a, *b = field;
    etv_entity_tag_t tag_a, tag_b;
    etv_entity_tag_next_e what_a, what_b;

    ETV_MUST(longer);
    strcpy(longer, first);
    strcat(longer, field);
    a = longer;
    ETV_MUST(etv_entity_tag_next(longer, &a, &tag_a) == ETV_ENTITY_TAG_ONE);
    ETV_MUST(tag_a.len == 1 && *tag_a.opaque == 'x');
    do {
        what_a = etv_entity_tag_next(longer, &a, &tag_a);
        what_b = etv_entity_tag_next(field, &b, &tag_b);
        ETV_MUST(what_a == what_b ||
                 (what_a == ETV_ENTITY_TAG_INVALID && what_b == ETV_ENTITY_TAG_ANY));
        ETV_MUST(what_a != ETV_ENTITY_TAG_ONE || etv_entity_tag_equal_weak(&tag_a, &tag_b));
    } while (what_b == ETV_ENTITY_TAG_ONE);
    free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *field;

    while ((field = etv_fuzz_line(&data, &size))) {
        check_list(field);
        check_prefix(field);
        free(field);
    }
    return 0;
}
