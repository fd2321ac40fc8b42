/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include <apr_strings.h>

#include "core/update_condition.h"

#define GOOD    "0123456789012345678901"
#define BAD     "abcdefghijklmnopqrstuv"
#define CURRENT "\"v" GOOD "\""
#define OLD     "\"v" BAD "\""

static int asked;

static int is_current(void *baton, const etv_entity_tag_own_t *own)
{
    (void)baton;
    asked++;
    return memcmp(own->digest, GOOD, ETV_ENTITY_TAG_DIGEST_CHARS) == 0;
}

START_TEST(test_judge)
{
    static const struct {
        const char *list, *says; /* any, foreign, own, strong, weak */
    } rows[] = {
        {CURRENT, "osw"},
        {"\"u" GOOD "\"", "osw"},
        {OLD, "o"},
        {"W/" CURRENT, "w"},
        {"W/" OLD, ""},
        {"\"v" GOOD "-gzip\"", "w"}, /* whoever took the W/ away */
        {"W/\"v" GOOD "-gzip\"", "w"},
        {OLD ", " CURRENT, "osw"},
        {CURRENT "," OLD, "osw"},
        {"W/" CURRENT ", " OLD, "ow"},
        {"\"c" GOOD "\"", ""},
        {"\"h" GOOD "\"", ""},
        {"\"c" GOOD "\", " CURRENT, "osw"},
        {"\"v1\"", "f"},
        {"\"\"", "f"},
        {"\"v" GOOD "x\"", "f"},
        {"\"V" GOOD "\"", "f"},
        {"\"v1\", " OLD, "fo"},
        {"\"v1\", " CURRENT, "fosw"},
        {"*", "a"},
        {" * ", "a"},
        {"*, " CURRENT, ""},
        {CURRENT ", *", "osw"},
        {"\"*\"", "f"},
        {"", ""},
        {" , ", ""},
        {"v" GOOD, ""},
        {"v1", ""},
        {"W/v1, " CURRENT, ""},
        {CURRENT ", v1", "osw"},
        {CURRENT "x", ""},
        {"w/" CURRENT, ""},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        etv_update_tags_t tags = etv_update_judge(rows[i].list, is_current, NULL);
        const char *says =
            apr_pstrcat(pool, tags.any ? "a" : "", tags.foreign ? "f" : "", tags.own ? "o" : "",
                        tags.strong ? "s" : "", tags.weak ? "w" : "", NULL);

        ck_assert_msg(strcmp(says, rows[i].says) == 0, "%s: %s, not %s", rows[i].list, says,
                      rows[i].says);
    }
}
END_TEST

START_TEST(test_which_is_current)
{
    const char *list = "W/\"v" GOOD "\", " OLD ", \"u" GOOD "\", " CURRENT;
    etv_update_tags_t tags = etv_update_judge(list, is_current, NULL);

    ck_assert(tags.strong);
    ck_assert_int_eq(tags.current.letter, 'u');
    ck_assert_ptr_eq(tags.current.digest, strstr(list, "\"u") + 2);
}
END_TEST

START_TEST(test_nothing_is_known)
{
    etv_update_tags_t tags = etv_update_judge(CURRENT ", \"x\"", NULL, NULL);

    ck_assert(tags.own && tags.foreign && !tags.strong && !tags.weak);
}
END_TEST

/* What is asked for costs something, and a client writes the list. */
START_TEST(test_long_list)
{
    const char *list = OLD;

    for (int i = 0; i < 300; i++)
        list = apr_pstrcat(pool, list, ", " OLD, NULL);
    asked = 0;
    ck_assert(
        !etv_update_judge(apr_pstrcat(pool, list, ", " CURRENT, NULL), is_current, NULL).strong);
    ck_assert_int_eq(asked, ETV_UPDATE_TAGS_MOST);
}
END_TEST

int main(void)
{
    return etv_check_run("update_condition",
                         (const TTest *[]){test_judge, test_which_is_current, test_nothing_is_known,
                                           test_long_list, NULL});
}
