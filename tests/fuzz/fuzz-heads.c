/*
 * Requests of a guest that make sense so far that a device looks at what is in them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_scsi.h>
#include <linux/virtio_vsock.h>
#include <string.h>

#include "fuzz-guest.h"

static unsigned put(uint8_t *to, const void *from, unsigned len)
{
    memcpy(to, from, len);
    return len;
}

/* SCSI --------------------------------------------------------------------- */

/* Targets 0 and 1 are there, the second with two units. */
static void take_lun(Guest *g, uint8_t lun[8])
{
    unsigned where = take(g, 1);

    memset(lun, 0, 8);
    lun[0] = where & 128 ? where : 1;
    lun[1] = where & 1;
    lun[2] = where & 64 ? 0x40 : 0;
    lun[3] = where >> 1 & 3;
}

static void put_be(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = bytes - 1 - i < 8 ? value >> 8 * (bytes - 1 - i) : 0;
    }
}

/* By its group a command says where its address and its length are (SPC-3, 4.3). */
static void take_command(Guest *g, uint8_t cdb[32])
{
    static const struct {
        uint8_t addr, addr_len, len, len_len;
    } groups[8] = {
        { 2, 2, 4, 1 }, { 2, 4, 7, 2 }, { 2, 4, 7, 2 }, { 1, 15, 16, 1 },
        { 2, 8, 10, 4 }, { 2, 4, 6, 4 }, { 1, 15, 16, 1 }, { 1, 15, 16, 1 },
    };
    unsigned opcode = take(g, 1), how = take(g, 1), group = opcode >> 5;
    uint64_t addr = take(g, how & 1 ? 8 : 2);

    memset(cdb, 0, 32);
    cdb[0] = opcode;
    put_be(cdb + groups[group].addr, addr, groups[group].addr_len);
    put_be(cdb + groups[group].len, take(g, how & 2 ? 4 : 1), groups[group].len_len);
    cdb[1] = how & 4 ? take(g, 1) : cdb[1];
    if (how & 8) {
        cdb[take(g, 1) % 32] = take(g, 1);
    }
}

unsigned scsi_head(Guest *g, unsigned q, uint8_t to[BUFFER_MAX])
{
    struct virtio_scsi_cmd_req command = { .tag = take(g, 1) };
    struct virtio_scsi_ctrl_tmf_req task = { .tag = command.tag };
    struct virtio_scsi_ctrl_an_req ask = { .type = VIRTIO_SCSI_T_AN_QUERY };

    if (q >= 2) {
        take_lun(g, command.lun);
        take_command(g, command.cdb);
        return put(to, &command, sizeof(command));
    }
    task.subtype = take(g, 1);
    take_lun(g, task.lun);
    if (task.subtype & 128) {
        memcpy(ask.lun, task.lun, sizeof(ask.lun));
        ask.type += task.subtype & 1;
        ask.event_requested = take(g, 4);
        return put(to, &ask, sizeof(ask));
    }
    return put(to, &task, sizeof(task));
}

/* Sockets ------------------------------------------------------------------ */

/* From a few ports of the guest's, to those of the host's that there can be. */
unsigned vsock_head(Guest *g, unsigned q, uint8_t to[BUFFER_MAX])
{
    unsigned how = take(g, 1), ports = take(g, 1);
    size_t len = how & 8 ? take(g, how & 16 ? 2 : 1) % 180 : 0;
    const uint8_t *data = fuzz_take_bytes(&g->in, &len);
    struct virtio_vsock_hdr hdr = {
        .src_cid = 3,
        .dst_cid = 2,
        .src_port = 1024 + (ports & 3),
        .dst_port = ports & 8 ? 1024 + (ports >> 4) : (1u << 30) + (ports >> 4),
        .len = len,
        .type = VIRTIO_VSOCK_TYPE_STREAM,
        .op = how & 7,
        .flags = ports >> 4 & 3,
        .buf_alloc = how & 32 ? take(g, 4) : 1 << 18,
        .fwd_cnt = how & 64 ? take(g, 4) : 0,
    };

    if (how & 128) {
        hdr.len = take(g, 2);
    }
    put(to, &hdr, sizeof(hdr));
    return sizeof(hdr) + put(to + sizeof(hdr), data, len);
}

/* Files -------------------------------------------------------------------- */

/* Fields: numbers of so many bytes, 's' a name, 'd' data, 'w' one name to walk or none. */
static const struct {
    uint8_t type;
    const char *fields;
} p9_requests[] = {
    { 8, "4" }, { 12, "44" }, { 14, "4s444" }, { 16, "4ss4" }, { 18, "4s4444" }, { 20, "44s" },
    { 22, "4" }, { 24, "48" }, { 26, "4444488888" }, { 30, "44s" }, { 32, "4s84" }, { 40, "484" },
    { 50, "44" }, { 52, "414884s" }, { 54, "41884s" }, { 70, "44s" }, { 72, "4s44" },
    { 74, "4s4s" }, { 76, "4s4" }, { 100, "4s" }, { 104, "44ss4" }, { 108, "2" }, { 110, "44w" },
    { 116, "484" }, { 118, "48d" }, { 120, "4" }, { 122, "4" },
};

static unsigned take_name(Guest *g, uint8_t *to, unsigned room)
{
    static const char *const names[] = {
        "a", "b", "dir", "link", "..", ".", "", "user.x", "9P2000.L", "a/b", "user.virtfs.x",
    };
    unsigned which = take(g, 1);
    const char *name = names[which % G_N_ELEMENTS(names)];
    uint16_t len = strlen(name);

    if (room < 2u + len) {
        return 0;
    }
    memcpy(to, &len, 2);
    memcpy(to + 2, name, len);
    return 2 + len;
}

/* Small numbers: fids are few, flags many. */
static unsigned take_number(Guest *g, uint8_t *to, unsigned room, unsigned bytes)
{
    unsigned how = take(g, 1);
    uint64_t value = how < 0xf0 ? how & 0x3f : how == 0xf0 ? ~0ull : take(g, bytes);

    if (how >= 0x80 && how < 0xc0) {
        value = 1ull << (how & 0x3f);
    }
    if (room < bytes) {
        return 0;
    }
    memcpy(to, &value, bytes);
    return bytes;
}

static unsigned take_data(Guest *g, uint8_t *to, unsigned room)
{
    size_t len = take(g, 1) % 64;
    const uint8_t *data = fuzz_take_bytes(&g->in, &len);
    uint32_t count = len;

    if (room < 4 + len) {
        return 0;
    }
    memcpy(to, &count, 4);
    memcpy(to + 4, data, len);
    return 4 + len;
}

static unsigned take_field(Guest *g, char kind, uint8_t *to, unsigned room)
{
    if (kind >= '1' && kind <= '8') {
        return take_number(g, to, room, kind - '0');
    }
    if (kind == 'd') {
        return take_data(g, to, room);
    }
    if (kind == 'w' && room > 2) {
        if (g->in.p < g->in.end && *g->in.p & 128) {
            take(g, 1);
            return put(to, "\0", 2);
        }
        put(to, "\1", 2);
        return 2 + take_name(g, to + 2, room - 2);
    }
    return take_name(g, to, room);
}

unsigned p9_head(Guest *g, unsigned q, uint8_t to[BUFFER_MAX])
{
    unsigned which = take(g, 1) % G_N_ELEMENTS(p9_requests);
    uint32_t len = 7;

    to[4] = p9_requests[which].type;
    to[5] = take(g, 1);
    to[6] = 0;
    for (const char *f = p9_requests[which].fields; *f; f++) {
        len += take_field(g, *f, to + len, BUFFER_MAX - len);
    }
    memcpy(to, &len, 4);
    return len;
}
