/*
 * SCSI commands of CD drives: tray, table of contents, features (MMC-5).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "scsi-internal.h"

#define FRAMES_PER_SECOND   75
#define LEAD_OUT            0xaa
#define DATA_TRACK          0x14        /* ADR 1: position; control: data */
#define CD_MAX_BLOCKS       (80 * 60 * FRAMES_PER_SECOND)
#define PROFILE_CD_ROM      0x08
#define PROFILE_DVD_ROM     0x10

/* Media events of GET EVENT STATUS NOTIFICATION. */
#define CLASS_MEDIA         4
#define EVENT_NONE          0
#define EVENT_NEW_MEDIA     2
#define EVENT_REMOVAL       3

/* Tray ------------------------------------------------------------------------------ */

static void move_tray(SCSIDevice *dev, bool open)
{
    const EventField fields[] = {
        EVENT_STR("device", dev->conf.blk ? blk_name(dev->conf.blk) : ""),
        EVENT_STR("id", qdev_name(&dev->dev)),
        EVENT_BOOL("tray-open", open),
    };

    if (dev->tray_open == open) {
        return;
    }
    dev->tray_open = open;
    dev->media_event = open ? EVENT_REMOVAL : EVENT_NEW_MEDIA;
    if (!open) {
        scsi_set_attention(dev, SENSE_NEW_MEDIUM);
    }
    if (event_limit_allows(&dev->conf.error_limit)) {
        machine_event(dev->dev.machine, "DEVICE_TRAY_MOVED", fields, G_N_ELEMENTS(fields));
    }
}

void scsi_start_stop(SCSIRequest *req)
{
    SCSIDevice *dev = req->dev;
    bool start = req->cdb[4] & 1, load = req->cdb[4] & 2;

    /* Power conditions are none of a drive's that is not there. */
    if (load && scsi_is_cd(dev) && !(req->cdb[4] >> 4)) {
        if (!start && dev->locked) {
            scsi_check(req, SENSE_REMOVAL_PREVENTED);
            return;
        }
        move_tray(dev, !start);
    }
    scsi_good(req, 0);
}

void scsi_prevent(SCSIRequest *req)
{
    req->dev->locked = req->cdb[4] & 1;
    scsi_good(req, 0);
}

void scsi_event_status(SCSIRequest *req)
{
    SCSIDevice *dev = req->dev;
    uint8_t buf[8] = { 0, 2, 0x80, 1u << CLASS_MEDIA };    /* no class that was asked for */
    size_t len = 4;

    if (!(req->cdb[1] & 1)) {
        scsi_check(req, SENSE_INVALID_FIELD);       /* to wait for an event */
        return;
    }
    if (req->cdb[4] & 1u << CLASS_MEDIA) {
        len = 8;
        buf[1] = 6;
        buf[2] = CLASS_MEDIA;
        buf[4] = dev->media_event;
        buf[5] = (dev->tray_open ? 1 : 0) | (!dev->tray_open && scsi_blocks(dev) ? 2 : 0);
        dev->media_event = EVENT_NONE;
    }
    scsi_reply(req, buf, len, scsi_get(req->cdb + 7, 2));
}

void scsi_mechanism_status(SCSIRequest *req)
{
    const uint8_t buf[8] = { 0, req->dev->tray_open ? 0x10 : 0, 0, 0, 0, 1 };

    scsi_reply(req, buf, sizeof(buf), scsi_get(req->cdb + 8, 2));
}

size_t scsi_cd_page(const SCSIDevice *dev, uint8_t *buf)
{
    memset(buf, 0, 22);
    buf[2] = 0x3b;                      /* reads CD-R, CD-RW, DVD-ROM, DVD-R, DVD-RAM */
    buf[4] = 0x70;                      /* both forms of mode 2, many sessions */
    buf[6] = 0x29 | (dev->locked ? 2 : 0);          /* a tray, which is locked and ejects */
    scsi_put(buf + 8, 2, 50 * 176);     /* KB/s at most */
    scsi_put(buf + 10, 2, 2);           /* levels of volume */
    scsi_put(buf + 12, 2, 2048);        /* KB of buffer */
    scsi_put(buf + 14, 2, 16 * 176);
    return 22;
}

/* Medium ------------------------------------------------------------------------------ */

static void put_position(uint8_t *p, uint32_t lba, bool msf)
{
    if (msf) {
        lba += 2 * FRAMES_PER_SECOND;
        p[1] = lba / FRAMES_PER_SECOND / 60;
        p[2] = lba / FRAMES_PER_SECOND % 60;
        p[3] = lba % FRAMES_PER_SECOND;
    } else {
        scsi_put(p, 4, lba);
    }
}

static size_t put_track(uint8_t *p, uint8_t number, uint32_t lba, bool msf)
{
    p[1] = DATA_TRACK;
    p[2] = number;
    put_position(p + 4, lba, msf);
    return 8;
}

/* One track of data in one session. */
void scsi_read_toc(SCSIRequest *req)
{
    uint8_t buf[4 + 2 * 8] = { 0 }, format = req->cdb[2] & 0xf, first = req->cdb[6];
    bool msf = req->cdb[1] & 2;
    size_t len = 4;

    /* Drivers from before MMC-2 put it here. */
    format = format ? format : req->cdb[9] >> 6;
    if (format > 1 || (!format && first > 1 && first != LEAD_OUT)) {
        scsi_check(req, SENSE_INVALID_FIELD);
        return;
    }
    buf[2] = buf[3] = 1;                /* first and last track, or session */
    if (format || first <= 1) {
        len += put_track(buf + len, 1, 0, msf);
    }
    if (!format) {
        len += put_track(buf + len, LEAD_OUT, scsi_blocks(req->dev), msf);
    }
    scsi_put(buf, 2, len - 2);
    scsi_reply(req, buf, len, scsi_get(req->cdb + 7, 2));
}

void scsi_disc_information(SCSIRequest *req)
{
    /* A complete disc of one session and one track, whose place nobody else may use. */
    uint8_t buf[34] = { 0, 32, 0x0e, 1, 1, 1, 1, 0x20 };

    if (req->cdb[1] & 7) {
        scsi_check(req, SENSE_INVALID_FIELD);
        return;
    }
    memset(buf + 16, 0xff, 8);          /* no position of a lead-in, nor of a last lead-out */
    scsi_reply(req, buf, sizeof(buf), scsi_get(req->cdb + 7, 2));
}

/* Features ------------------------------------------------------------------------------ */

typedef struct FeatureList {
    uint8_t buf[64];
    size_t len;
    unsigned first, which;      /* of the command: the lowest feature; 0 all, 1 current, 2 one */
} FeatureList;

static void put_feature(FeatureList *l, unsigned code, uint8_t flags, const uint8_t *data,
                        uint8_t len)
{
    if (code < l->first || (l->which == 2 && code != l->first) ||
        (l->which == 1 && !(flags & 1))) {
        return;
    }
    scsi_put(l->buf + l->len, 2, code);
    l->buf[l->len + 2] = flags;
    l->buf[l->len + 3] = len;
    memcpy(l->buf + l->len + 4, data, len);
    l->len += 4 + len;
}

void scsi_get_configuration(SCSIRequest *req)
{
    const SCSIDevice *dev = req->dev;
    uint64_t blocks = dev->tray_open ? 0 : scsi_blocks(dev);
    uint8_t now = !blocks ? 0 : blocks > CD_MAX_BLOCKS ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
    const uint8_t profiles[] = {
        0, PROFILE_DVD_ROM, now == PROFILE_DVD_ROM, 0, 0, PROFILE_CD_ROM, now == PROFILE_CD_ROM, 0,
    };
    static const uint8_t core[] = { 0, 0, 0, 1, 0, 0, 0, 0 };       /* SCSI */
    static const uint8_t removable[] = { 0x29, 0, 0, 0 };           /* a tray, locks, ejects */
    static const uint8_t reading[] = { 0, 0, 8, 0, 0, 1, 0, 0 };    /* blocks of 2048, one */
    FeatureList l = { .len = 8, .first = scsi_get(req->cdb + 2, 2), .which = req->cdb[1] & 3 };

    if (l.which == 3) {
        scsi_check(req, SENSE_INVALID_FIELD);
        return;
    }
    put_feature(&l, 0, 3, profiles, sizeof(profiles));
    put_feature(&l, 1, 0x0b, core, sizeof(core));
    put_feature(&l, 3, 3, removable, sizeof(removable));
    put_feature(&l, 0x10, now ? 1 : 0, reading, sizeof(reading));
    put_feature(&l, 0x1e, now == PROFILE_CD_ROM, (const uint8_t[4]) { 0 }, 4);
    put_feature(&l, 0x1f, now == PROFILE_DVD_ROM, (const uint8_t[4]) { 0 }, 4);
    scsi_put(l.buf, 4, l.len - 4);
    scsi_put(l.buf + 6, 2, now);
    scsi_reply(req, l.buf, l.len, scsi_get(req->cdb + 7, 2));
}
