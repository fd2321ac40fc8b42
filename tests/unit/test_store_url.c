/* SPDX-License-Identifier: Apache-2.0 */
#include "etv_check.h"

#include "core/store_url.h"

#define SECRET "hunter2"

static void assert_str_or_null(const char *text, const char *expected)
{
    ck_assert_msg(!text == !expected && (!text || strcmp(text, expected) == 0), "%s not %s", text,
                  expected);
}

START_TEST(test_right)
{
    static const struct {
        const char *text;
        etv_store_url_t url;
    } rows[] = {
        {"local", {.kind = ETV_STORE_URL_LOCAL, .canonical = "local"}},
        {"Local", {.kind = ETV_STORE_URL_LOCAL, .canonical = "local"}},
#define TCP(u, pass, h, p, n, shown)                                                               \
    {.kind = ETV_STORE_URL_REDIS_TCP,                                                              \
     .user = u,                                                                                    \
     .password = pass,                                                                             \
     .host = h,                                                                                    \
     .port = p,                                                                                    \
     .db = n,                                                                                      \
     .canonical = shown}
        {"redis://h", TCP(NULL, NULL, "h", 6379, 0, "redis://h:6379/0")},
        {"REDIS://H.Example:1/", TCP(NULL, NULL, "h.example", 1, 0, "redis://h.example:1/0")},
        {"redis://127.0.0.1:65535/999999",
         TCP(NULL, NULL, "127.0.0.1", 65535, 999999, "redis://127.0.0.1:65535/999999")},
        {"redis://redis_1/007", TCP(NULL, NULL, "redis_1", 6379, 7, "redis://redis_1:6379/7")},
        {"redis://[::1]", TCP(NULL, NULL, "::1", 6379, 0, "redis://[::1]:6379/0")},
        {"redis://u:p@[2001:DB8:0::1]:7/2",
         TCP("u", "p", "2001:db8::1", 7, 2, "redis://[2001:db8::1]:7/2")},
        {"redis://:secret@h", TCP(NULL, "secret", "h", 6379, 0, "redis://h:6379/0")},
        {"redis://u@h", TCP("u", NULL, "h", 6379, 0, "redis://h:6379/0")},
        {"redis://u%40x:%3a%2F%25p:q%20@h:8", TCP("u@x", ":/%p:q ", "h", 8, 0, "redis://h:8/0")},
        {"redis://u:\xc3\xa9@h", TCP("u", "\xc3\xa9", "h", 6379, 0, "redis://h:6379/0")},
#define UNIX(u, pass, file, n, shown)                                                              \
    {.kind = ETV_STORE_URL_REDIS_UNIX,                                                             \
     .user = u,                                                                                    \
     .password = pass,                                                                             \
     .path = file,                                                                                 \
     .db = n,                                                                                      \
     .canonical = shown}
        {"redis+unix:///run/redis.sock",
         UNIX(NULL, NULL, "/run/redis.sock", 0, "redis+unix:///run/redis.sock?db=0")},
        {"redis+unix:///run/redis.sock?db=2",
         UNIX(NULL, NULL, "/run/redis.sock", 2, "redis+unix:///run/redis.sock?db=2")},
        {"redis+unix://u:p@/s?db=2", UNIX("u", "p", "/s", 2, "redis+unix:///s?db=2")},
        {"redis+unix://:p%40@/s", UNIX(NULL, "p@", "/s", 0, "redis+unix:///s?db=0")},
        {"Redis+Unix:///r@1/a%20b%3f%3F:c",
         UNIX(NULL, NULL, "/r@1/a b\?\?:c", 0, "redis+unix:///r%401/a%20b%3F%3F%3Ac?db=0")},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        const etv_store_url_t *expected = &rows[i].url;
        etv_store_url_t url;
        const char *error = etv_store_url_parse(pool, rows[i].text, &url);

        ck_assert_msg(!error, "%s", error);
        ck_assert_int_eq(url.kind, expected->kind);
        assert_str_or_null(url.user, expected->user);
        assert_str_or_null(url.password, expected->password);
        assert_str_or_null(url.host, expected->host);
        assert_str_or_null(url.path, expected->path);
        ck_assert_uint_eq(url.port, expected->port);
        ck_assert_int_eq(url.db, expected->db);
        assert_str_or_null(url.canonical, expected->canonical);
    }
}
END_TEST

static void parse_right(const char *text, etv_store_url_t *url)
{
    const char *error = etv_store_url_parse(pool, text, url);

    ck_assert_msg(!error, "%s", error);
}

START_TEST(test_tls)
{
    static const struct {
        const char *text, *ca, *cert, *key, *canonical;
    } rows[] = {
        {"rediss://H", NULL, NULL, NULL, "rediss://h:6379/0"},
        {"REDISS://u:p@h:1/2", NULL, NULL, NULL, "rediss://h:1/2"},
        {"rediss://h?ca=/etc/a.pem", "/etc/a.pem", NULL, NULL, "rediss://h:6379/0"},
        {"rediss://[::1]/?ca=/a%20b%3F%40", "/a b?@", NULL, NULL, "rediss://[::1]:6379/0"},
        {"rediss://h/3?key=/k&ca=/a&cert=/c", "/a", "/c", "/k", "rediss://h:6379/3"},
        {"rediss://u:p@h?cert=/c?d=e&key=/k", NULL, "/c?d=e", "/k", "rediss://h:6379/0"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        etv_store_url_t url;

        parse_right(rows[i].text, &url);
        ck_assert_int_eq(url.kind, ETV_STORE_URL_REDIS_TCP);
        ck_assert_int_eq(url.tls, 1);
        assert_str_or_null(url.ca, rows[i].ca);
        assert_str_or_null(url.cert, rows[i].cert);
        assert_str_or_null(url.key, rows[i].key);
        ck_assert_str_eq(url.canonical, rows[i].canonical);
    }
}
END_TEST

START_TEST(test_sentinel)
{
    static const struct {
        const char *text, *user, *password, *master;
        int db, n;
        etv_store_host_t last;
        const char *canonical;
    } rows[] = {
        {"redis+sentinel://h/m",
         NULL,
         NULL,
         "m",
         0,
         1,
         {"h", 26379},
         "redis+sentinel://h:26379/m/0"},
        {"Redis+Sentinel://A:1,b,[2001:DB8:0::1],[::1]:7/My.Name-1_a:b/",
         NULL,
         NULL,
         "My.Name-1_a:b",
         0,
         4,
         {"::1", 7},
         "redis+sentinel://a:1,b:26379,[2001:db8::1]:26379,[::1]:7/My.Name-1_a:b/0"},
        {"redis+sentinel://u:p%2C@a,a:1/m/2",
         "u",
         "p,",
         "m",
         2,
         2,
         {"a", 1},
         "redis+sentinel://a:26379,a:1/m/2"},
        {"redis+sentinel://u,v:p@a/m",
         "u,v",
         "p",
         "m",
         0,
         1,
         {"a", 26379},
         "redis+sentinel://a:26379/m/0"},
        {"redis+sentinel://:p@a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p/m",
         NULL,
         "p",
         "m",
         0,
         16,
         {"p", 26379},
         "redis+sentinel://a:26379,b:26379,c:26379,d:26379,e:26379,f:26379,g:26379,h:26379,i:26379,"
         "j:26379,k:26379,l:26379,m:26379,n:26379,o:26379,p:26379/m/0"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        etv_store_url_t url;

        parse_right(rows[i].text, &url);
        ck_assert_int_eq(url.kind, ETV_STORE_URL_REDIS_SENTINEL);
        ck_assert_msg(!url.tls && !url.host && !url.path, "%s", rows[i].text);
        assert_str_or_null(url.user, rows[i].user);
        assert_str_or_null(url.password, rows[i].password);
        ck_assert_str_eq(url.master, rows[i].master);
        ck_assert_int_eq(url.db, rows[i].db);
        ck_assert_int_eq(url.n_sentinels, rows[i].n);
        ck_assert_str_eq(url.sentinels[rows[i].n - 1].host, rows[i].last.host);
        ck_assert_uint_eq(url.sentinels[rows[i].n - 1].port, rows[i].last.port);
        ck_assert_str_eq(url.canonical, rows[i].canonical);
    }
}
END_TEST

#define A100                                                                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "a"                                                                                            \
    "aaaaaaa"

START_TEST(test_wrong)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "no address"},
        {"localhost:6379", "no address"},
        {"redis:h", "no address"},
        {"http://h", "no address"},
        {"redis+unix:/run/s", "no address"},
        {"rediss:h", "no address"},
        {"rediss://", "host is missing"},
        {"rediss://h/x?ca=/a", "the database"},
        {"rediss://h?", "only ca=file"},
        {"rediss://h?CA=/a", "only ca=file"},
        {"rediss://h?db=1", "only ca=file"},
        {"rediss://h?ca=/a&", "only ca=file"},
        {"rediss://h?ca=/a&ca=/a", "each stand once"},
        {"rediss://h?ca=", "absolute"},
        {"rediss://h?ca=a.pem", "absolute"},
        {"rediss://h?ca=/etc/", "absolute"},
        {"rediss://h?ca=/a%", "%25"},
        {"rediss://h?ca=/a%00", "%00"},
        {"rediss://h?ca=/a#b", "%23"},
        {"rediss://h?ca=/a@b", "%40"},
        {"rediss://h#", "%23"},
        {"rediss://h?cert=/a", "need each other"},
        {"rediss://h?ca=/a&key=/a", "need each other"},
        {"redis+sentinel:h/m", "no address"},
        {"redis+sentinel://", "host is missing"},
        {"redis+sentinel:///m", "host is missing"},
        {"redis+sentinel://,a/m", "host is missing"},
        {"redis+sentinel://a,/m", "host is missing"},
        {"redis+sentinel://a,:1/m", "host is missing"},
        {"redis+sentinel://a,b:0/m", "the port"},
        {"redis+sentinel://a,[::1/m", "the ]"},
        {"redis+sentinel://a;b/m", "a host consists"},
        {"redis+sentinel://a,A/m", "twice"},
        {"redis+sentinel://[::1]:26379,b,[0::1]/m", "twice"},
        {"redis+sentinel://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q/m", "more than 16"},
        {"redis+sentinel://a,b", "primary that they watch is missing"},
        {"redis+sentinel://a,b/", "primary that they watch is missing"},
        {"redis+sentinel://a,b//1", "primary that they watch is missing"},
        {"redis+sentinel://a/m%41", "at most 128"},
        {"redis+sentinel://a/m\xc3\xa9", "at most 128"},
        {"redis+sentinel://a/" A100 A100, "at most 128"},
        {"redis+sentinel://a/m/x", "the database"},
        {"redis+sentinel://a/m/1/", "the database"},
        {"redis+sentinel://a/m?db=1", "behind the name of the primary"},
        {"redis+sentinel://a/m#", "behind the name of the primary"},
        {"redis+sentinel://u:p@b@a/m", "%40"},
        {"redis+sentinel://a/m@b", "%40"},
        {"redis+sentinel://@a/m", "are empty"},
        {"redis://h 1", "white space"},
        {" local", "white space"},
        {"redis://", "host is missing"},
        {"redis:///1", "host is missing"},
        {"redis://:6379", "host is missing"},
        {"redis://u:p@", "host is missing"},
        {"redis://u:p@:1", "host is missing"},
        {"redis://h\xc3\xa9", "a host consists"},
        {"redis://h%41", "a host consists"},
        {"redis://h,i", "a host consists"},
        {"redis://" A100 A100 A100, "longer than 253"},
        {"redis://[::1", "the ]"},
        {"redis://[::1]x", "behind the ]"},
        {"redis://[::g]", "an IPv6 address"},
        {"redis://[127.0.0.1]", "an IPv6 address"},
        {"redis://[fe80::1%25eth0]", "an IPv6 address"},
        {"redis://[]", "an IPv6 address"},
        {"redis://h:", "the port"},
        {"redis://h:0", "the port"},
        {"redis://h:65536", "the port"},
        {"redis://h:99999999999999999999", "the port"},
        {"redis://h:-1", "the port"},
        {"redis://h:1x", "the port"},
        {"redis://::1", "host is missing"},
        {"redis://h/1000000", "the database"},
        {"redis://h/-1", "the database"},
        {"redis://h/1/", "the database"},
        {"redis://h/x", "the database"},
        {"redis://h?db=1", "written as /N"},
        {"redis://h/1#x", "written as /N"},
        {"redis://@h", "are empty"},
        {"redis://:@h", "password is empty"},
        {"redis://u:@h", "password is empty"},
        {"redis://u:p@q@h", "%40"},
        {"redis://u:p/q@h", "%40"},
        {"redis://u:p%@h", "%25"},
        {"redis://u:p%4@h", "%25"},
        {"redis://u:p%4g@h", "%25"},
        {"redis://u:p%00@h", "%00"},
        {"redis://u%00:p@h", "%00"},
        {"redis+unix://", "name a file"},
        {"redis+unix:///", "name a file"},
        {"redis+unix:///run/", "name a file"},
        {"redis+unix://?db=1", "name a file"},
        {"redis+unix://u:p@", "name a file"},
        {"redis+unix://run/s", "begin with"},
        {"redis+unix://u:p@h/s", "begin with"},
        {"redis+unix://u:p@/a@b", "%40"},
        {"redis+unix:///a#b", "%23"},
        {"redis+unix:///a%00", "%00"},
        {"redis+unix:///a%zz", "%25"},
        {"redis+unix:///" A100 "aaaaaaa", "longer than the system"},
        {"redis+unix:///a?", "only db=N"},
        {"redis+unix:///a?db=", "the database"},
        {"redis+unix:///a?db=1&db=2", "only db=N"},
        {"redis+unix:///a?x=1", "only db=N"},
        {"redis+unix:///a?DB=1", "only db=N"},
        {"redis+unix:///a?db=1000000", "the database"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        etv_store_url_t url;
        const char *error = etv_store_url_parse(pool, rows[i].text, &url);

        ck_assert_msg(error && strstr(error, rows[i].says), "%s: %s", rows[i].text, error);
        ck_assert_msg(strstr(error, "accepted are \"local\"") != NULL, "%s", error);
    }
}
END_TEST

/* Whatever an administrator mistypes, the password is not repeated. */
START_TEST(test_secret)
{
    static const char *const texts[] = {
        "redis://u:" SECRET "@h:x",
        "redis://:" SECRET "@h/x",
        "redis://:" SECRET "/@h",
        "redis://:/" SECRET "@h",
        "redis://:a@" SECRET "@h",
        "redis://:?" SECRET "@h",
        "redis://:#" SECRET "@h",
        "redis://" SECRET "@h@",
        "redis://:" SECRET,
        "redis://u:" SECRET,
        "redis://u:" SECRET "/0",
        "redis://u:1/" SECRET,
        "redis:/:" SECRET "@h",
        "redis:u:" SECRET "@h",
        "u:" SECRET "@h:1",
        SECRET "@h:1",
        "rediss://:" SECRET "@h?x",
        "rediss://:" SECRET "?ca=/a",
        "rediss://u:" SECRET "/0?ca=/a",
        "rediss://u:1/" SECRET "?ca=/a",
        "rediss://h?pass=" SECRET,
        "redis+sentinel://:" SECRET "@h",
        "redis+sentinel://:" SECRET "@a,b/",
        "redis+sentinel://u:" SECRET "/m",
        "redis+sentinel://:" SECRET ",a:1/m",
        "redis+sentinel://u:1," SECRET "@b@a",
        "redis+sentinel://a:1,b:" SECRET "/m",
        "redis+sentinel://a:1,b:2" SECRET "/m",
        "redis+sentinel://a:1,[::1]:" SECRET "/m",
        "redis+sentinel://[u:" SECRET "/m",
        "redis+sentinel://u:[::1]" SECRET ",a/m",
        "redis+unix://:" SECRET "@run/s",
        "redis+unix://:" SECRET "/run/s",
        "redis+unix://:" SECRET "@/s?x",
        "redis+unix:///s?password=" SECRET,
        "redis+unix:///s?db=1&pass=" SECRET "&b=c",
        "redis://h?password=" SECRET,
        " redis://:" SECRET "@h",
    };

    for (size_t i = 0; i < ETV_ROWS(texts); i++) {
        etv_store_url_t url;
        const char *error = etv_store_url_parse(pool, texts[i], &url);

        ck_assert_msg(error != NULL, "%s", texts[i]);
        ck_assert_msg(!strstr(error, SECRET), "%s", error);
        ck_assert_msg(!strstr(etv_store_url_redact(pool, texts[i]), SECRET), "%s", texts[i]);
    }
}
END_TEST

START_TEST(test_redact)
{
    static const struct {
        const char *text, *redacted;
    } rows[] = {
        {"", ""},
        {"local", "local"},
        {"redis://h:1/2", "redis://h:1/2"},
        {"redis://[::1]:1/2", "redis://[::1]:1/2"},
        {"redis://h:1?db=2", "redis://h:1?db=2"},
        {"redis://[::1", "redis://[::1"},
        {"redis://[u:p", "redis://[***"},
        {"redis://h:1/x", "redis://h:***"},
        {"redis://u:p@h:1/2", "redis://u:***@h:1/2"},
        {"redis://:p@h", "redis://:***@h"},
        {"redis://u@h", "redis://***@h"},
        {"redis://:p@q@h", "redis://:***@h"},
        {"redis+unix:///run/a@b?db=1", "redis+unix:///run/a@b?db=1"},
        {"redis+unix://u:p@/run/s?db=1", "redis+unix://u:***@/run/s?db=1"},
        {"redis+unix:///s?db=1&x=2&y", "redis+unix:///s?db=1&x=***&y"},
        {"rediss://h:1/2?ca=/a&cert=/b&key=/c", "rediss://h:1/2?ca=/a&cert=/b&key=/c"},
        {"rediss://u:p@h:1/2?ca=/a", "rediss://u:***@h:1/2?ca=/a"},
        {"redis+sentinel://a:1,[::1]:2,[::2],b/m/3", "redis+sentinel://a:1,[::1]:2,[::2],b/m/3"},
        {"redis+sentinel://u:p@a:1,b/m", "redis+sentinel://u:***@a:1,b/m"},
        {"redis+sentinel://a:1,b:x/m", "redis+sentinel://a:1,b:***"},
        {"redis+sentinel://u:p,a:1/m", "redis+sentinel://u:***"},
        {"rediss://h?ca=/etc/ca.pem&pw=x", "rediss://h?ca=/etc/ca.pem&pw=***"},
    };

    for (size_t i = 0; i < ETV_ROWS(rows); i++) {
        ck_assert_str_eq(etv_store_url_redact(pool, rows[i].text), rows[i].redacted);
    }
}
END_TEST

int main(void)
{
    return etv_check_run("store_url",
                         (const TTest *[]){test_right, test_tls, test_sentinel, test_wrong,
                                           test_secret, test_redact, NULL});
}
