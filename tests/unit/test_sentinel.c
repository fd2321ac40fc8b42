/* SPDX-License-Identifier: Apache-2.0 */
/* Asking sentinels: what is believed, and which of them is asked. */
#include "sentinel_fixture.h"

static atomic_int never;

START_TEST(what_is_believed)
{
    static const struct {
        const char *says;
        etv_sentinel_e is;
    } row[] = {
        {FINE ADDRESS PRIMARY, ETV_SENTINEL_CONFIRMS},
        {FLAGS("13", "s_down,master"), ETV_SENTINEL_DOUBTS},
        {FLAGS("20", "s_down,o_down,master"), ETV_SENTINEL_DOUBTS},
        {FLAGS("19", "master,disconnected"), ETV_SENTINEL_DOUBTS},
        {FLAGS("27", "master,failover_in_progress"), ETV_SENTINEL_CONFIRMS},
        {"-NOQUORUM 1 usable Sentinels.\r\n" ADDRESS PRIMARY, ETV_SENTINEL_ALONE},
        {UNKNOWN "*-1\r\n" UNKNOWN, ETV_SENTINEL_NOT_WATCHED},
        {FINE "*-1\r\n" PRIMARY, ETV_SENTINEL_NOT_WATCHED},
        {FINE "$-1\r\n" PRIMARY, ETV_SENTINEL_NOT_WATCHED},
        {NO_CMD NO_CMD NO_CMD, ETV_SENTINEL_ODD},
        {"+ODD\r\n" ADDRESS PRIMARY, ETV_SENTINEL_ODD},
        {"$2\r\nOK\r\n" ADDRESS PRIMARY, ETV_SENTINEL_ODD},
        {FINE "*1\r\n$1\r\na\r\n" PRIMARY, ETV_SENTINEL_ODD},
        {FINE "*2\r\n$1\r\na\r\n*0\r\n" PRIMARY, ETV_SENTINEL_ODD},
        {FINE "*2\r\n$0\r\n\r\n$1\r\n1\r\n" PRIMARY, ETV_SENTINEL_ODD},
        {FINE "*2\r\n$1\r\na\r\n$1\r\n0\r\n" PRIMARY, ETV_SENTINEL_ODD},
        {FINE "*2\r\n$1\r\na\r\n$5\r\n65536\r\n" PRIMARY, ETV_SENTINEL_ODD},
        {FINE "*2\r\n$1\r\na\r\n$2\r\n1x\r\n" PRIMARY, ETV_SENTINEL_ODD},
        {FINE "*2\r\n$1\r\na\r\n$-1\r\n" PRIMARY, ETV_SENTINEL_ODD},
        {FINE ADDRESS "*0\r\n", ETV_SENTINEL_ODD},
        {FINE ADDRESS "*1\r\n$5\r\nflags\r\n", ETV_SENTINEL_ODD},
        {FINE ADDRESS "*2\r\n$5\r\nflags\r\n*0\r\n", ETV_SENTINEL_ODD},
        {FINE ADDRESS "$1\r\na\r\n", ETV_SENTINEL_ODD},
        {FINE ADDRESS PRIMARY "+1\r\n", ETV_SENTINEL_ODD},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", ETV_SENTINEL_ODD},
        {DENIED DENIED DENIED, ETV_SENTINEL_REFUSES},
        {FINE ADDRESS DENIED, ETV_SENTINEL_REFUSES},
        {"", ETV_SENTINEL_SILENT},
        {FINE ADDRESS, ETV_SENTINEL_SILENT},
    };
    sentinel_t s;
    address_t a;

    sentinel_start(&s);
    address_of(&a, (sentinel_t *const[]){&s, NULL}, "127.0.0.1");
    for (size_t i = 0; i < ETV_ROWS(row); i++) {
        etv_sentinels_t *asker = etv_sentinels_make(&a.url, NULL, look_up);
        apr_time_t before = etv_boottime_us();
        etv_sentinel_primary_t primary;
        etv_sentinel_e is;

        sentinel_says(&s, row[i].says);
        is = etv_sentinels_ask(asker, &never, &primary);
        ck_assert_msg(is == row[i].is, "%s: %d", row[i].says, (int)is);
        ck_assert(*etv_sentinel_sentence(is));
        if (is == ETV_SENTINEL_CONFIRMS) {
            ck_assert_str_eq(primary.host, "127.0.0.1");
            ck_assert_uint_eq(primary.port, 7001);
            ck_assert(primary.asked_us >= before && primary.asked_us <= etv_boottime_us());
        }
        etv_sentinels_free(asker);
    }
    sentinel_stop(&s);
}
END_TEST

START_TEST(login)
{
    static const struct {
        const char *user, *password, *file;
        etv_sentinel_e is;
    } row[] = {
        {NULL, "right", NULL, ETV_SENTINEL_CONFIRMS},
        {NULL, "wrong", "right", ETV_SENTINEL_CONFIRMS},
        {NULL, "wrong", NULL, ETV_SENTINEL_REFUSES},
        {NULL, NULL, NULL, ETV_SENTINEL_REFUSES},
    };
    sentinel_t s;
    address_t a;

    sentinel_start(&s);
    snprintf(s.login, sizeof(s.login), "*2\r\n$4\r\nAUTH\r\n$5\r\nright\r\n");
    address_of(&a, (sentinel_t *const[]){&s, NULL}, "127.0.0.1");
    for (size_t i = 0; i <= ETV_ROWS(row); i++) {
        etv_sentinel_primary_t primary;
        etv_sentinels_t *asker;
        etv_sentinel_e is = ETV_SENTINEL_CONFIRMS;

        if (i < ETV_ROWS(row)) {
            a.url.user = row[i].user;
            a.url.password = row[i].password;
            is = row[i].is;
            asker = etv_sentinels_make(&a.url, row[i].file, look_up);
        } else {
            pthread_mutex_lock(&s.lock);
            snprintf(s.login, sizeof(s.login), "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$5\r\nright\r\n");
            pthread_mutex_unlock(&s.lock);
            a.url.user = "me";
            asker = etv_sentinels_make(&a.url, "right", look_up);
        }
        ck_assert_int_eq(etv_sentinels_ask(asker, &never, &primary), is);
        ck_assert_int_eq(etv_sentinels_ask(asker, &never, &primary), is);
        etv_sentinels_free(asker);
    }
    sentinel_stop(&s);
}
END_TEST

static int port_named(etv_sentinels_t *asker)
{
    etv_sentinel_primary_t primary;

    ck_assert_int_eq(etv_sentinels_ask(asker, &never, &primary), ETV_SENTINEL_CONFIRMS);
    return primary.port;
}

START_TEST(one_that_confirms_is_kept)
{
    sentinel_t s[3];
    etv_sentinel_primary_t primary;
    etv_sentinels_t *asker;
    atomic_int stop;
    address_t a;

    for (int i = 0; i < 3; i++) {
        sentinel_start(&s[i]);
        sentinel_names(&s[i], "127.0.0.1", 7001 + i, "master");
    }
    address_of(&a, (sentinel_t *const[]){&s[0], &s[1], &s[2], NULL}, "host.test");
    asker = etv_sentinels_make(&a.url, NULL, look_up);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(port_named(asker), 7001);
    }
    ck_assert_int_eq(atomic_load(&s[0].fake.served), 1); /* one connection for all of it */
    sentinel_says(&s[0], "-NOQUORUM x\r\n" ADDRESS PRIMARY);
    sentinel_says(&s[1], "");
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(port_named(asker), 7003);
    }
    ck_assert_int_eq(atomic_load(&s[1].asked), 1); /* not asked while another confirms */
    ck_assert_int_eq(atomic_load(&s[2].fake.served), 1);
    sentinel_stop(&s[2]);
    sentinel_names(&s[0], "127.0.0.1", 7004, "master");
    ck_assert_int_eq(port_named(asker), 7004);

    sentinel_says(&s[0], "-NOQUORUM x\r\n" ADDRESS PRIMARY);
    ck_assert_int_eq(etv_sentinels_ask(asker, &never, &primary), ETV_SENTINEL_ALONE);
    atomic_init(&stop, 1);
    ck_assert_int_eq(etv_sentinels_ask(asker, &stop, &primary), ETV_SENTINEL_SILENT);
    etv_sentinels_free(asker);
    atomic_store(&no_names, 1);
    asker = etv_sentinels_make(&a.url, NULL, look_up);
    ck_assert_int_eq(etv_sentinels_ask(asker, &never, &primary), ETV_SENTINEL_SILENT);
    atomic_store(&no_names, 0);
    etv_sentinels_free(asker);
    sentinel_stop(&s[0]);
    sentinel_stop(&s[1]);
}
END_TEST

int main(void)
{
    return etv_check_run("sentinel", (const TTest *const[]){what_is_believed, login,
                                                            one_that_confirms_is_kept, NULL});
}
