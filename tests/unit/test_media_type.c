/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/media_type.h"

START_TEST(test_is_pattern)
{
    static const struct {
        const char *text;
        int is;
    } rows[] = {
        {"*", 1},
        {"text/html", 1},
        {"TEXT/Html", 1},
        {"text/*", 1},
        {"image/*", 1},
        {"application/*+json", 1},
        {"application/*+a+b", 1},
        {"application/vnd.api+json", 1},
        {"a/b", 1},
        {"!#$%&'/+-.^_`|~", 1},
        /* not a type with a subtype */
        {"", 0},
        {"text", 0},
        {"text/", 0},
        {"/html", 0},
        {"/", 0},
        {"text//html", 0},
        {"text/html/x", 0},
        {"/*", 0},
        /* an asterisk where it would mean nothing */
        {"*/*", 0},
        {"*/html", 0},
        {"te*t/html", 0},
        {"**", 0},
        {"text/**", 0},
        {"text/*html", 0},
        {"text/html*", 0},
        {"text/h*l", 0},
        {"application/*+", 0},
        {"application/*+*", 0},
        {"application/*+js*n", 0},
        {"application/**+json", 0},
        {"application/x*+json", 0},
        {"application/*json", 0},
        {"application/*-json", 0},
        /* more than a media type */
        {"text/html;charset=utf-8", 0},
        {"text/html ", 0},
        {" text/html", 0},
        {"* ", 0},
        {" *", 0},
        {"text/*;q=1", 0},
        {"text/* ", 0},
        {"text/html,text/plain", 0},
        {"text/\"html\"", 0},
        {"text/h\xc3\xa4", 0},
        {"text/html\x7f", 0},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(etv_media_type_is_pattern(rows[i].text) == rows[i].is, "[%s]", rows[i].text);
    }
}
END_TEST

START_TEST(test_matches)
{
    static const struct {
        const char *type, *pattern;
        int matches;
    } rows[] = {
        /* every value */
        {"text/html", "*", 1},
        {"", "*", 1},
        {NULL, "*", 1},
        {"nonsense", "*", 1},
        /* one type */
        {"text/html", "text/html", 1},
        {"Text/HTML", "text/html", 1},
        {"text/html", "TEXT/Html", 1},
        {"text/html;charset=utf-8", "text/html", 1},
        {"text/html; charset=\"utf-8\"; a=b", "text/html", 1},
        {" \ttext/html \t;charset=utf-8", "text/html", 1},
        {"text/html ", "text/html", 1},
        {"text/html;", "text/html", 1},
        {"text/html;;;", "text/html", 1},
        {"text/htm", "text/html", 0},
        {"text/htmlx", "text/html", 0},
        {"tex/html", "text/html", 0},
        {"texts/html", "text/html", 0},
        {"text/plain", "text/html", 0},
        {"application/html", "text/html", 0},
        {"application/json", "application/json", 1},
        {"application/json-seq", "application/json", 0},
        /* one type, any subtype */
        {"text/html", "text/*", 1},
        {"TEXT/PLAIN; charset=x", "text/*", 1},
        {"text/x", "text/*", 1},
        {"image/png", "text/*", 0},
        {"texts/html", "text/*", 0},
        {"tex/html", "text/*", 0},
        {"image/svg+xml", "image/*", 1},
        /* a suffix */
        {"application/problem+json", "application/*+json", 1},
        {"application/vnd.api+JSON; ext=1", "application/*+json", 1},
        {"application/a+b+json", "application/*+json", 1},
        {"application/a+b+json", "application/*+b+json", 1},
        {"application/x+json", "application/*+JSON", 1},
        {"application/json", "application/*+json", 0},
        {"application/+json", "application/*+json", 0},
        {"application/xjson", "application/*+json", 0},
        {"application/x+jsonx", "application/*+json", 0},
        {"application/x+xml", "application/*+json", 0},
        {"application/n", "application/*+json", 0},
        {"text/x+json", "application/*+json", 0},
        {"application/x+json+y", "application/*+json", 0},
        /* no media type */
        {NULL, "text/html", 0},
        {NULL, "text/*", 0},
        {"", "text/*", 0},
        {" ", "text/*", 0},
        {"text", "text/*", 0},
        {"text/", "text/*", 0},
        {"text/;charset=utf-8", "text/*", 0},
        {"text /html", "text/*", 0},
        {"text/ html", "text/*", 0},
        {"/html", "text/*", 0},
        {"text/html charset=utf-8", "text/html", 0},
        {"text/html, text/html", "text/html", 0},
        {"text/html/x", "text/html", 0},
        {"\"text/html\"", "text/html", 0},
        {"text/html\x01", "text/html", 0},
        /* no pattern */
        {"text/html", "", 0},
        {"text/html", "text", 0},
        {"text/html", "*/*", 0},
        {"text/html", "text/html;charset=utf-8", 0},
        {"*/*", "*/*", 0},
        {"text/*+", "text/*+", 0},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(etv_media_type_matches(rows[i].type, rows[i].pattern) == rows[i].matches,
                      "[%s] [%s]", rows[i].type, rows[i].pattern);
    }
}
END_TEST

START_TEST(test_is_stream)
{
    static const struct {
        const char *type;
        int is;
    } rows[] = {
        {"text/event-stream", 1},
        {"Text/Event-Stream", 1},
        {"text/event-stream;charset=utf-8", 1},
        {" text/event-stream ; charset=utf-8", 1},
        {"multipart/x-mixed-replace", 1},
        {"multipart/x-mixed-replace; boundary=x", 1},
        {"MULTIPART/X-MIXED-REPLACE", 1},
        {"application/grpc", 1},
        {"application/grpc+proto", 1},
        {"application/grpc-web-text", 1},
        {"Application/GRPC;x=y", 1},
        /* what follows is not looked at */
        {"text/event-stream charset=utf-8", 1},
        {"text/event-stream, text/event-stream", 1},
        {"application/grpc, x", 1},
        /* others */
        {NULL, 0},
        {"", 0},
        {"text", 0},
        {"text/", 0},
        {"text/plain", 0},
        {"text/event-streams", 0},
        {"text/event-strea", 0},
        {"text/event", 0},
        {"application/event-stream", 0},
        {"multipart/mixed", 0},
        {"text/x-mixed-replace", 0},
        {"application/grp", 0},
        {"application/g", 0},
        {"application/json", 0},
        {"text/grpc", 0},
        {"grpc", 0},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_msg(etv_media_type_is_stream(rows[i].type) == rows[i].is, "[%s]", rows[i].type);
    }
}
END_TEST

int main(void)
{
    return etv_check_run("media_type",
                         (const TTest *[]){test_is_pattern, test_matches, test_is_stream, NULL});
}
