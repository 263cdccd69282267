/*
 * TFTP of a user network (RFC 1350): libslirp serves what it can open below a folder, and that
 * is whatever a symbolic link there leads to. So it is given no folder: the name in a request
 * is replaced by the number of a descriptor, opened here so that it stays in the user's folder.
 *
 * libslirp may open the name later and again; the descriptors of the slots are only replaced,
 * never closed, so that their numbers mean no other file of the process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slirp-tftp.h"

#include <fcntl.h>
#include <glib.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "packet.h"
#include "qemu/error.h"

#define TFTP_PORT 69
#define TFTP_OPCODE_LEN 2
#define TFTP_RRQ 1
#define TFTP_WRQ 2
/* A name that is not below SLIRP_TFTP_PATH. */
#define NO_FILE "/none"
#define NAME_ROOM 16

void slirp_tftp_init(SlirpTFTP *t, const char *path)
{
    t->next = 0;
    t->dir = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    for (unsigned i = 0; i < SLIRP_TFTP_SLOTS; i++) {
        t->slot[i] = t->dir < 0 ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (path && t->dir < 0) {
        warn_report("tftp=%s: no such folder", path);
    }
}

void slirp_tftp_cleanup(SlirpTFTP *t)
{
    for (unsigned i = 0; i < SLIRP_TFTP_SLOTS; i++) {
        if (t->slot[i] >= 0) {
            close(t->slot[i]);
        }
    }
    if (t->dir >= 0) {
        close(t->dir);
    }
}

/* A regular file in the folder, and no link out of it; or -1. */
static int open_below(const SlirpTFTP *t, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    struct stat st;
    int fd = syscall(SYS_openat2, t->dir, name, &how, sizeof(how));

    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The name for libslirp of what the guest calls name. */
static void substitute(SlirpTFTP *t, const char *name, char out[NAME_ROOM])
{
    unsigned i = t->next;
    int fd;

    g_strlcpy(out, NO_FILE, NAME_ROOM);
    name += strspn(name, "/");
    if (t->dir < 0 || t->slot[i] < 0 || !*name) {
        return;
    }
    fd = open_below(t, name);
    if (fd < 0) {
        return;
    }
    if (dup3(fd, t->slot[i], O_CLOEXEC) >= 0) {
        snprintf(out, NAME_ROOM, "/%d", t->slot[i]);
        t->next = (i + 1) % SLIRP_TFTP_SLOTS;
    }
    close(fd);
}

/* Lengths and checksums of a UDP packet whose payload is now udp_len bytes long. */
static void fix_headers(uint8_t *frame, uint8_t *udp, size_t udp_len)
{
    uint8_t *ip = frame + ETH_HLEN;
    size_t header = udp - ip;
    unsigned sum;

    store16(udp + UDP_LENGTH, udp_len);
    store16(udp + UDP_CHECKSUM, 0);
    if (load16(frame + ETH_TYPE) == ETH_TYPE_IP) {
        store16(ip + IP_TOTAL, header + udp_len);
        store16(ip + IP_HEADER_SUM, 0);
        store16(ip + IP_HEADER_SUM, ~sum16(ip, header, 0));
        return;
    }
    store16(ip + IP6_PAYLOAD, udp_len);
    sum = sum16(udp, udp_len, sum16(ip + IP6_SOURCE, 32, IPPROTO_UDP + udp_len));
    store16(udp + UDP_CHECKSUM, sum == 0xffff ? 0xffff : ~sum);
}

size_t slirp_tftp_filter(SlirpTFTP *t, uint8_t *frame, size_t len, size_t size)
{
    size_t udp_len, rest, new_len;
    char name[NAME_ROOM];
    uint8_t proto, *udp, *old, *end;

    udp = (uint8_t *)ip_payload(frame, len, &proto, &udp_len);
    if (!udp || proto != IPPROTO_UDP || udp_len < UDP_HLEN + TFTP_OPCODE_LEN ||
        load16(udp + UDP_DESTINATION) != TFTP_PORT ||
        (load16(udp + UDP_HLEN) != TFTP_RRQ && load16(udp + UDP_HLEN) != TFTP_WRQ)) {
        return len;
    }
    udp_len = MIN(udp_len, load16(udp + UDP_LENGTH));
    old = udp + UDP_HLEN + TFTP_OPCODE_LEN;
    if (udp_len < UDP_HLEN + TFTP_OPCODE_LEN) {
        return 0;
    }
    end = memchr(old, 0, udp + udp_len - old);
    if (!end) {
        return 0;
    }
    substitute(t, (const char *)old, name);
    rest = udp + udp_len - end;
    new_len = old - udp + strlen(name) + rest;
    if (udp - frame + new_len > size || udp - frame - ETH_HLEN + new_len > UINT16_MAX) {
        return 0;
    }
    memmove(old + strlen(name), end, rest);
    memcpy(old, name, strlen(name));
    fix_headers(frame, udp, new_len);
    return udp - frame + new_len;
}
