#include "wire/instant.h"

#include <stddef.h>

enum { DAY_S = 86400, DAYS_TO_1970 = 719468 };

/* Days since 1970-01-01 of a date, and back: years begin in March, so that the leap day is the last one; 400 years have 146,097 days. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, year_of_era = year % 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           DAYS_TO_1970;
}

static void date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += DAYS_TO_1970;
    int64_t era = days / 146097, of_era = days % 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    *day = of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted + (shifted < 10 ? 3 : -9);
    *year = era * 400 + year_of_era + (*month <= 2);
}

/* The number written in `width` digits at *at, which moves behind them. */
static bool take_number(const char **at, int width, int64_t *out)
{
    *out = 0;
    for (int i = 0; i < width; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool take_char(const char **at, char want)
{
    return *(*at)++ == want;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t month_days(int64_t year, int64_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

bool instant_parse(const char *text, int64_t *out_s)
{
    int64_t year, month, day, hour, minute, second;
    if (!take_number(&text, 4, &year) || !take_char(&text, '-') || !take_number(&text, 2, &month) ||
        !take_char(&text, '-') || !take_number(&text, 2, &day) || !take_char(&text, 'T') ||
        !take_number(&text, 2, &hour) || !take_char(&text, ':') || !take_number(&text, 2, &minute) ||
        !take_char(&text, ':') || !take_number(&text, 2, &second) || !take_char(&text, 'Z') || *text)
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return false;
    *out_s = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    return true;
}

/* Decimal digits of `value` into out[0 … width). */
static void put_number(char *out, int width, int64_t value)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        out[i] = (char)('0' + value % 10);
}

void instant_format(int64_t s, char out[INSTANT_SIZE])
{
    static const char form[] = "0000-00-00T00:00:00Z";
    int64_t year, month, day;
    s = s < 0 ? 0 : s > INSTANT_MAX_S ? INSTANT_MAX_S : s;
    date_of(s / DAY_S, &year, &month, &day);
    for (size_t i = 0; i < INSTANT_SIZE; i++)
        out[i] = form[i];
    put_number(out, 4, year);
    put_number(out + 5, 2, month);
    put_number(out + 8, 2, day);
    put_number(out + 11, 2, s % DAY_S / 3600);
    put_number(out + 14, 2, s % 3600 / 60);
    put_number(out + 17, 2, s % 60);
}
