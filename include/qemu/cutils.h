/*
 * Numbers and sizes as users write them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_CUTILS_H
#define QEMU_CUTILS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KiB (1ULL << 10)
#define MiB (1ULL << 20)
#define GiB (1ULL << 30)

#define QEMU_ALIGN_DOWN(n, m) ((n) / (m) * (m))
#define QEMU_ALIGN_UP(n, m) QEMU_ALIGN_DOWN((n) + (m) - 1, (m))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))

#define container_of(ptr, type, member) \
    ((type *)((char *)(ptr) - offsetof(type, member)))

/*
 * What derives from *ptr: the type whose first member, or that one's first member and so on, is
 * called member. NULL stays NULL. A pointer to something else than that member, or a member that
 * is not at the beginning, does not compile; that *ptr is of this type, the caller knows.
 */
#define downcast(ptr, type, member) \
    ((void)sizeof(char[offsetof(type, member) == 0 ? 1 : -1]), \
     (void)sizeof((ptr) == &((type *)NULL)->member), (type *)(ptr))

/*
 * The whole of str as an unsigned number (decimal, 0x…, 0…). Returns 0,
 * -EINVAL (not a number) or -ERANGE.
 */
int qemu_strtou64(const char *str, uint64_t *result);
int qemu_strtoi64(const char *str, int64_t *result);

/*
 * A size with an optional suffix B/K/M/G/T/P/E in either case and an optional
 * decimal fraction; default_suffix applies to a bare number ('B' or 'M').
 * Returns 0, -EINVAL or -ERANGE.
 */
int qemu_strtosz(const char *str, char default_suffix, uint64_t *result);

/* The byte of two hexadecimal digits, of which the first is looked at first; -1: not two. */
int qemu_hex_byte(const char *digits);
/*
 * The little-endian bytes of a valid UUID's text: its first three fields are turned round
 * (RFC 4122 has the text, UEFI and SMBIOS these).
 */
void qemu_uuid_le_bytes(const char *text, uint8_t bytes[16]);

/* on/off, yes/no, true/false, y/n. False when str is none of them. */
bool qemu_parse_bool(const char *str, bool *result);

/* write() all of buf, through short writes and EINTR. 0 or negative errno. */
int qemu_write_full(int fd, const void *buf, size_t len);

/* True if all bytes are zero. */
bool buffer_is_zero(const void *buf, size_t len);
/*
 * pread() len bytes at off, through short reads and EINTR. Returns the bytes
 * read (less than len at the end of the file) or negative errno.
 */
ssize_t qemu_pread_full(int fd, void *buf, size_t len, off_t off);

#endif
