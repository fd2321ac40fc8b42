/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http_date.h"

#include <string.h>

#include "core/http_text.h"

/* The forms of §5.6.7. A letter of read_part stands for a part, everything else for itself. */
static const char *const forms[] = {
    "w, d b Y h:m:s GMT", /* IMF-fixdate:  Sun, 06 Nov 1994 08:49:37 GMT */
    "W, d-b-y h:m:s GMT", /* rfc850-date:  Sunday, 06-Nov-94 08:49:37 GMT */
    "w b e h:m:s Y",      /* asctime-date: Sun Nov  6 08:49:37 1994 */
};

static const char *const weekdays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

typedef struct {
    int year, month, day, hour, minute, second;
} parts_t;

/* strncmp in the sense of "is it so"; short names are compared faster than a call is made. */
static int begins(const char *at, const char *name, size_t len)
{
    size_t i = 0;

    while (i < len && at[i] == name[i]) {
        i++;
    }
    return i == len;
}

/* How many characters at `at` are the name of a weekday; 0 when they are none. */
static size_t weekday_len(const char *at, int abbreviated)
{
    for (size_t i = 0; i < sizeof(weekdays) / sizeof(weekdays[0]); i++) {
        size_t len = abbreviated ? 3 : strlen(weekdays[i]);

        if (begins(at, weekdays[i], len)) {
            return len;
        }
    }
    return 0;
}

static size_t month_len(const char *at, int *month)
{
    for (*month = 0; *month < 12; ++*month) {
        if (begins(at, months + 3 * *month, 3)) {
            return 3;
        }
    }
    return 0;
}

static size_t number_len(const char *at, size_t digits, int *number)
{
    *number = 0;
    for (size_t i = 0; i < digits; i++) {
        if (at[i] < '0' || at[i] > '9') {
            return 0;
        }
        *number = *number * 10 + (at[i] - '0');
    }
    return digits;
}

/* How many characters at `at` the part takes that a letter of a form stands for; 0 when it is not
 * there. */
static size_t part_len(char letter, const char *at, parts_t *parts)
{
    size_t len;

    switch (letter) {
    case 'w':
        return weekday_len(at, 1);
    case 'W':
        return weekday_len(at, 0);
    case 'd':
        return number_len(at, 2, &parts->day);
    case 'e': /* date3: 2DIGIT / ( SP 1DIGIT ) */
        return *at == ' ' ? 2 * number_len(at + 1, 1, &parts->day) : number_len(at, 2, &parts->day);
    case 'b':
        return month_len(at, &parts->month);
    case 'y':
        len = number_len(at, 2, &parts->year);
        parts->year += parts->year < 70 ? 2000 : 1900;
        return len;
    case 'Y':
        return number_len(at, 4, &parts->year);
    case 'h':
        return number_len(at, 2, &parts->hour);
    case 'm':
        return number_len(at, 2, &parts->minute);
    case 's':
        return number_len(at, 2, &parts->second);
    default:
        return *at == letter;
    }
}

static int has_form(const char *text, const char *form, parts_t *parts)
{
    for (; *form; form++) {
        size_t len = part_len(*form, text, parts);

        if (len == 0) {
            return 0;
        }
        text += len;
    }
    return *etv_http_text_skip_ows(text) == '\0';
}

static int exists(const parts_t *parts)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = (parts->year % 4 == 0 && parts->year % 100 != 0) || parts->year % 400 == 0;
    int most = days[parts->month] + (leap && parts->month == 1);

    return parts->day >= 1 && parts->day <= most && parts->hour < 24 && parts->minute < 60 &&
           parts->second <= 60;
}

int etv_http_date_parse(const char *text, etv_http_date_t *date)
{
    parts_t parts = {0, 0, 0, 0, 0, 0};

    if (!text) {
        return 0;
    }
    text = etv_http_text_skip_ows(text);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!has_form(text, forms[i], &parts)) {
            continue;
        }
        if (!exists(&parts)) {
            return 0;
        }
        *date = parts.year * 12 + parts.month;
        *date = *date * 32 + parts.day;
        *date = *date * 24 + parts.hour;
        *date = *date * 60 + parts.minute;
        *date = *date * 61 + parts.second;
        return 1;
    }
    return 0;
}
