/*
 * Numbers and sizes as users write them; full reads and writes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/cutils.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

int qemu_strtou64(const char *str, uint64_t *result)
{
    char *end;

    while (isspace((unsigned char)*str)) {
        str++;
    }
    /* g_ascii_strtoull() takes "-1" for 2^64 - 1; users do not. */
    if (!isdigit((unsigned char)*str)) {
        return -EINVAL;
    }
    errno = 0;
    *result = g_ascii_strtoull(str, &end, 0);
    if (errno == ERANGE) {
        return -ERANGE;
    }
    return *end ? -EINVAL : 0;
}

int qemu_strtoi64(const char *str, int64_t *result)
{
    char *end;

    errno = 0;
    *result = g_ascii_strtoll(str, &end, 0);
    if (errno == ERANGE) {
        return -ERANGE;
    }
    return end == str || *end ? -EINVAL : 0;
}

/* The power of two a size suffix stands for, or -1. */
static int suffix_shift(char suffix)
{
    static const char suffixes[] = "BKMGTPEbkmgtpe";
    const char *p = strchr(suffixes, suffix);

    return suffix && p ? (int)(p - suffixes) % 7 * 10 : -1;
}

/* A fraction ".ddd" scaled by 2^shift; *p is moved past it. */
static uint64_t parse_fraction(const char **p, int shift)
{
    double scale = 0.1, fraction = 0;

    for ((*p)++; isdigit((unsigned char)**p); (*p)++) {
        fraction += (**p - '0') * scale;
        scale /= 10;
    }
    return (uint64_t)(fraction * (double)(1ULL << shift));
}

int qemu_strtosz(const char *str, char default_suffix, uint64_t *result)
{
    const char *p, *dot = NULL;
    uint64_t whole, fraction = 0;
    char *end;
    int shift;

    while (isspace((unsigned char)*str)) {
        str++;
    }
    if (!isdigit((unsigned char)*str)) {
        return -EINVAL;
    }
    errno = 0;
    whole = g_ascii_strtoull(str, &end, str[0] == '0' && (str[1] | 0x20) == 'x' ? 16 : 10);
    if (errno == ERANGE) {
        return -ERANGE;
    }
    p = end;
    if (*p == '.') {
        dot = p;
        for (p++; isdigit((unsigned char)*p); p++) {
            /* the fraction's digits: read below, once the suffix is known */
        }
    }
    shift = suffix_shift(*p ? *p : default_suffix);
    if (shift < 0 || (*p && p[1])) {
        return -EINVAL;
    }
    if (dot) {
        if (shift == 0) {
            return -EINVAL;
        }
        fraction = parse_fraction(&dot, shift);
    }
    if (shift && whole >> (64 - shift)) {
        return -ERANGE;
    }
    *result = (whole << shift) + fraction;
    return *result < fraction ? -ERANGE : 0;
}

bool qemu_parse_bool(const char *str, bool *result)
{
    static const char *const on[] = { "on", "yes", "true", "y" };
    static const char *const off[] = { "off", "no", "false", "n" };

    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
        if (!strcmp(str, on[i]) || !strcmp(str, off[i])) {
            *result = !strcmp(str, on[i]);
            return true;
        }
    }
    return false;
}

int qemu_hex_byte(const char *digits)
{
    int high = g_ascii_xdigit_value(digits[0]);
    int low = high < 0 ? -1 : g_ascii_xdigit_value(digits[1]);

    return low < 0 ? -1 : high << 4 | low;
}

void qemu_uuid_le_bytes(const char *text, uint8_t bytes[16])
{
    static const uint8_t place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

    for (unsigned n = 0; n < sizeof(place); text++) {
        if (*text != '-') {
            bytes[place[n++]] = qemu_hex_byte(text++);
        }
    }
}

int qemu_write_full(int fd, const void *buf, size_t len)
{
    const char *p = buf;

    while (len) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        p += n;
        len -= n;
    }
    return 0;
}

ssize_t qemu_pread_full(int fd, void *buf, size_t len, off_t off)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, (char *)buf + done, len - done, off + done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            break;
        }
        done += n;
    }
    return done;
}

bool buffer_is_zero(const void *buf, size_t len)
{
    const uint8_t *p = buf;

    /* Most data shows itself early. */
    for (size_t i = 0; i < MIN(len, 16); i++) {
        if (p[i]) {
            return false;
        }
    }
    return len <= 16 || !memcmp(p, p + 16, len - 16);
}
