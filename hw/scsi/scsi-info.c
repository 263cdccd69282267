/*
 * SCSI commands that tell of the device: INQUIRY and its pages, capacity, mode pages (SPC-3,
 * SBC-3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "scsi-internal.h"

#define STANDARD_LEN    36
#define NO_SUCH_LUN     0x7f        /* qualifier and type of a LUN that is not there */
#define VPD_HEADER      4

/* Mode pages. */
#define PAGE_ERRORS     0x01
#define PAGE_CACHE      0x08
#define PAGE_CD         0x2a
#define PAGE_ALL        0x3f
#define CACHE_WCE       0x04
#define MODE_CHANGEABLE 1
#define MODE_SAVED      3
#define MODE_MAX        64          /* all pages with their header */

/* INQUIRY ------------------------------------------------------------------------- */

/* Left-aligned, with spaces behind it. */
static void put_text(uint8_t *p, size_t room, const char *text)
{
    memset(p, ' ', room);
    memcpy(p, text, MIN(strlen(text), room));
}

static size_t standard_inquiry(const SCSIRequest *req, uint8_t *buf)
{
    const SCSIDevice *dev = req->dev;

    buf[0] = downcast(dev->dev.obj.oc, const SCSIDeviceClass, dc.oc)->type;
    buf[1] = dev->removable ? 0x80 : 0;
    buf[2] = 5;                         /* SPC-3 */
    buf[3] = 0x12;                      /* hierarchical LUNs, this format */
    buf[4] = STANDARD_LEN - 5;
    buf[7] = 0x02;                      /* many commands at a time */
    put_text(buf + 8, 8, dev->vendor);
    put_text(buf + 16, 16, dev->product);
    put_text(buf + 32, 4, dev->version);
    if (req->lun != dev->lun) {
        buf[0] = NO_SUCH_LUN;
    }
    return STANDARD_LEN;
}

/* One designator of page 0x83. */
static size_t put_designator(uint8_t *p, uint8_t code_set, uint8_t kind, const void *data,
                             uint8_t len)
{
    p[0] = code_set;
    p[1] = kind;
    p[3] = len;
    memcpy(p + 4, data, len);
    return 4 + len;
}

/* Code sets and kinds: SPC-3, table 297 on. */
static size_t vpd_identification(const SCSIDevice *dev, uint8_t *buf)
{
    const char *name = dev->device_id;
    size_t len = 0;
    uint8_t id[8];

    if (name && *name) {
        len += put_designator(buf + len, 2, 0, name, strlen(name));
    }
    if (dev->wwn) {
        scsi_put(id, 8, dev->wwn);
        len += put_designator(buf + len, 1, 3, id, 8);
    }
    if (dev->port_wwn) {
        scsi_put(id, 8, dev->port_wwn);
        len += put_designator(buf + len, 0x61, 0x93, id, 8);
    }
    if (dev->port_index) {
        scsi_put(id, 4, dev->port_index);
        len += put_designator(buf + len, 0x61, 0x94, id, 4);
    }
    return len;
}

static size_t vpd_limits(const SCSIDevice *dev, uint8_t *buf)
{
    unsigned size = dev->conf.logical_block_size;

    buf[0] = 1;                         /* WRITE SAME of no blocks is none (WSNZ) */
    scsi_put(buf + 2, 2, MIN(dev->conf.min_io_size / size, UINT16_MAX));
    scsi_put(buf + 4, 4, BDRV_REQUEST_MAX_BYTES / size);
    scsi_put(buf + 8, 4, dev->conf.opt_io_size / size);
    scsi_put(buf + 16, 4, dev->max_unmap_size / size);
    scsi_put(buf + 20, 4, 255);
    scsi_put(buf + 24, 4, dev->conf.discard_granularity / size);
    scsi_put(buf + 32, 8, BDRV_REQUEST_MAX_BYTES / size);
    return 0x3c;
}

static size_t vpd_provisioning(const SCSIDevice *dev, uint8_t *buf)
{
    buf[1] = 0xe0;                      /* UNMAP, WRITE SAME (16) and (10) give blocks back */
    buf[2] = blk_can_discard(dev->conf.blk) ? 2 : 0;        /* thin, or not */
    return 4;
}

static size_t vpd_characteristics(const SCSIDevice *dev, uint8_t *buf)
{
    scsi_put(buf, 2, dev->rotation_rate);
    return 0x3c;
}

static size_t vpd_serial(const SCSIDevice *dev, uint8_t *buf)
{
    size_t len = strlen(dev->serial);

    memcpy(buf, dev->serial, len);
    return len;
}

static size_t vpd_supported(const SCSIDevice *dev, uint8_t *buf);

static const struct {
    uint8_t page;
    bool disk_only;
    size_t (*fill)(const SCSIDevice *dev, uint8_t *buf);
} vpd_pages[] = {
    { 0x00, false, vpd_supported },
    { 0x80, false, vpd_serial },
    { 0x83, false, vpd_identification },
    { 0xb0, true, vpd_limits },
    { 0xb1, true, vpd_characteristics },
    { 0xb2, true, vpd_provisioning },
};

static bool has_page(const SCSIDevice *dev, unsigned i)
{
    return !(vpd_pages[i].disk_only && scsi_is_cd(dev)) &&
           !(vpd_pages[i].page == 0x80 && !dev->serial);
}

static size_t vpd_supported(const SCSIDevice *dev, uint8_t *buf)
{
    size_t n = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(vpd_pages); i++) {
        if (has_page(dev, i)) {
            buf[n++] = vpd_pages[i].page;
        }
    }
    return n;
}

/* 0: there is no such page. */
static size_t fill_vpd(const SCSIDevice *dev, uint8_t page, uint8_t *buf)
{
    for (size_t i = 0; i < G_N_ELEMENTS(vpd_pages); i++) {
        if (vpd_pages[i].page == page && has_page(dev, i)) {
            size_t len = vpd_pages[i].fill(dev, buf + VPD_HEADER);

            buf[0] = downcast(dev->dev.obj.oc, const SCSIDeviceClass, dc.oc)->type;
            buf[1] = page;
            scsi_put(buf + 2, 2, len);
            return VPD_HEADER + len;
        }
    }
    return 0;
}

void scsi_inquiry(SCSIRequest *req)
{
    uint8_t buf[SCSI_REPLY_MAX] = { 0 };
    bool vpd = req->cdb[1] & 1;
    size_t len = 0;

    if (!vpd && !req->cdb[2]) {
        len = standard_inquiry(req, buf);
    } else if (vpd && req->lun == req->dev->lun) {
        len = fill_vpd(req->dev, req->cdb[2], buf);
    }
    if (!len || (req->cdb[1] & ~1)) {
        scsi_check(req, SENSE_INVALID_FIELD);
    } else {
        scsi_reply(req, buf, len, scsi_get(req->cdb + 3, 2));
    }
}

/* Sense and LUNs ---------------------------------------------------------------------- */

void scsi_request_sense(SCSIRequest *req)
{
    SCSIDevice *dev = req->dev;
    bool here = req->lun == dev->lun;
    SCSISense sense = here ? dev->attention : SENSE_INVALID_LUN;
    uint8_t buf[SCSI_SENSE_LEN];

    if (here) {
        dev->attention = SENSE_NONE;
    }
    scsi_fill_sense(sense, buf);
    if (req->cdb[1] & 1) {
        uint8_t descriptor[8] = { 0x72, sense.key, sense.asc, sense.ascq };

        scsi_reply(req, descriptor, sizeof(descriptor), req->cdb[4]);
    } else {
        scsi_reply(req, buf, sizeof(buf), req->cdb[4]);
    }
}

void scsi_report_luns(SCSIRequest *req)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    const SCSIDevice *dev = req->dev->bus->targets[req->dev->id];
    size_t alloc = scsi_get(req->cdb + 6, 4);
    uint8_t entry[8] = { 0 };

    if (alloc < 16 || req->cdb[2] > 2) {
        scsi_check(req, SENSE_INVALID_FIELD);
        return;
    }
    g_byte_array_append(out, entry, 8);         /* the length comes later */
    /* LUN 0 is always there, to be asked this. */
    if (req->cdb[2] != 1 && dev->lun) {
        g_byte_array_append(out, entry, 8);
    }
    for (; dev && req->cdb[2] != 1; dev = dev->next) {
        entry[0] = dev->lun < 256 ? 0 : 0x40 | dev->lun >> 8;
        entry[1] = dev->lun;
        g_byte_array_append(out, entry, 8);
    }
    scsi_put(out->data, 4, out->len - 8);
    scsi_reply(req, out->data, out->len, alloc);
}

/* Capacity ------------------------------------------------------------------------------ */

void scsi_read_capacity10(SCSIRequest *req)
{
    uint64_t last = scsi_blocks(req->dev) - 1;
    uint8_t buf[8];

    if (!(req->cdb[8] & 1) && scsi_get(req->cdb + 2, 4)) {
        scsi_check(req, SENSE_INVALID_FIELD);
        return;
    }
    scsi_put(buf, 4, MIN(last, UINT32_MAX));
    scsi_put(buf + 4, 4, req->dev->conf.logical_block_size);
    scsi_reply(req, buf, sizeof(buf), sizeof(buf));
}

/* READ CAPACITY (16). */
void scsi_service_action_in(SCSIRequest *req)
{
    const BlockConf *conf = &req->dev->conf;
    uint8_t buf[32] = { 0 };

    if ((req->cdb[1] & 0x1f) != 0x10 ||
        (!(req->cdb[14] & 1) && scsi_get(req->cdb + 2, 8))) {
        scsi_check(req, SENSE_INVALID_FIELD);
        return;
    }
    scsi_put(buf, 8, scsi_blocks(req->dev) - 1);
    scsi_put(buf + 8, 4, conf->logical_block_size);
    buf[13] = g_bit_storage(conf->physical_block_size / conf->logical_block_size) - 1;
    buf[14] = !scsi_is_cd(req->dev) && blk_can_discard(conf->blk) ? 0x80 : 0;   /* LBPME */
    scsi_reply(req, buf, sizeof(buf), scsi_get(req->cdb + 10, 4));
}

/* Mode pages ------------------------------------------------------------------------------ */

/* The page with what can be changed, or with what it says now. 0: there is none. */
static size_t fill_page(const SCSIDevice *dev, uint8_t page, bool changeable, uint8_t *buf)
{
    bool cd = scsi_is_cd(dev), wce = !cd && blk_get_write_cache(dev->conf.blk);
    size_t len;

    switch (page) {
    case PAGE_ERRORS:
        len = 12;
        buf[2] = changeable || cd ? 0 : 0x80;           /* bad blocks are replaced */
        break;
    case PAGE_CACHE:
        len = cd ? 0 : 20;
        buf[2] = changeable || wce ? CACHE_WCE : 0;
        break;
    case PAGE_CD:
        len = cd ? scsi_cd_page(dev, buf) : 0;
        if (changeable) {
            memset(buf, 0, len);
        }
        break;
    default:
        return 0;
    }
    buf[0] = len ? page : 0;
    buf[1] = len ? len - 2 : 0;
    buf[2] = len ? buf[2] : 0;
    return len;
}

static size_t fill_pages(const SCSIDevice *dev, uint8_t page, bool changeable, uint8_t *buf)
{
    static const uint8_t all[] = { PAGE_ERRORS, PAGE_CACHE, PAGE_CD };
    size_t len = 0;

    if (page != PAGE_ALL) {
        return fill_page(dev, page, changeable, buf);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        len += fill_page(dev, all[i], changeable, buf + len);
    }
    return len;
}

static size_t fill_block_descriptor(const SCSIDevice *dev, uint8_t *buf)
{
    uint64_t blocks = scsi_blocks(dev);

    scsi_put(buf, 4, blocks > 0xffffff ? 0 : blocks);
    scsi_put(buf + 5, 3, dev->conf.logical_block_size);
    return 8;
}

void scsi_mode_sense(SCSIRequest *req)
{
    const SCSIDevice *dev = req->dev;
    bool ten = req->cdb[0] == 0x5a, descriptor = !(req->cdb[1] & 0x08) && !scsi_is_cd(dev);
    uint8_t control = req->cdb[2] >> 6, buf[8 + 8 + MODE_MAX] = { 0 };
    size_t header = ten ? 8 : 4, len = header, pages;

    if (control == MODE_SAVED) {
        scsi_check(req, SENSE_NO_SAVED_PAGES);
        return;
    }
    /* Writes are refused; DPO and FUA are known. */
    buf[ten ? 3 : 2] = (scsi_is_read_only(dev) && !scsi_is_cd(dev) ? 0x80 : 0) |
                       (scsi_is_cd(dev) ? 0 : 0x10);
    len += descriptor ? fill_block_descriptor(dev, buf + len) : 0;
    pages = fill_pages(dev, req->cdb[2] & 0x3f, control == MODE_CHANGEABLE, buf + len);
    if (!pages || req->cdb[3]) {
        scsi_check(req, SENSE_INVALID_FIELD);
        return;
    }
    len += pages;
    if (ten) {
        scsi_put(buf, 2, len - 2);
        buf[7] = descriptor ? 8 : 0;
    } else {
        buf[0] = len - 1;
        buf[3] = descriptor ? 8 : 0;
    }
    scsi_reply(req, buf, len, ten ? scsi_get(req->cdb + 7, 2) : req->cdb[4]);
}

/* Only what can be changed may differ. The page's length, or 0. */
static size_t check_page(const SCSIDevice *dev, const uint8_t *page, size_t left)
{
    uint8_t now[MODE_MAX] = { 0 }, changeable[MODE_MAX] = { 0 };
    size_t len = fill_page(dev, page[0] & 0x3f, false, now);

    if (!len || left < len || (page[0] & 0x40) || page[1] != now[1]) {
        return 0;
    }
    fill_page(dev, page[0] & 0x3f, true, changeable);
    for (size_t i = 2; i < len; i++) {
        if ((page[i] ^ now[i]) & ~changeable[i]) {
            return 0;
        }
    }
    return len;
}

/* *wce is what the pages say of the cache. */
static bool check_pages(const SCSIDevice *dev, const uint8_t *p, size_t left, bool *wce)
{
    while (left >= 2) {
        size_t len = check_page(dev, p, left);

        if (!len) {
            return false;
        }
        if ((p[0] & 0x3f) == PAGE_CACHE) {
            *wce = p[2] & CACHE_WCE;
        }
        p += len;
        left -= len;
    }
    return left == 0;
}

/* The list behind its header: 0, or an error. */
static SCSISense apply_mode(SCSIDevice *dev, const uint8_t *list, size_t len, bool ten)
{
    size_t header = ten ? 8 : 4, descriptors;
    bool before = !scsi_is_cd(dev) && blk_get_write_cache(dev->conf.blk), wce = before;

    if (len < header) {
        return SENSE_LIST_LENGTH;
    }
    descriptors = ten ? scsi_get(list + 6, 2) : list[3];
    if (descriptors > len - header) {
        return SENSE_LIST_LENGTH;
    }
    if ((descriptors && descriptors != 8) ||
        (descriptors && scsi_get(list + header + 5, 3) != dev->conf.logical_block_size)) {
        return SENSE_INVALID_PARAM;
    }
    header += descriptors;
    if (!check_pages(dev, list + header, len - header, &wce)) {
        return SENSE_INVALID_PARAM;
    }
    if (wce != before) {
        blk_set_write_cache(dev->conf.blk, wce);
    }
    return SENSE_NONE;
}

void scsi_mode_select(SCSIRequest *req)
{
    bool ten = req->cdb[0] == 0x55;
    size_t len = ten ? scsi_get(req->cdb + 7, 2) : req->cdb[4];
    uint8_t list[SCSI_REPLY_MAX];
    SCSISense sense;

    /* In the format of pages (PF), not to be saved (SP). */
    if ((req->cdb[1] & 0x11) != 0x10 || len > sizeof(list)) {
        scsi_check(req, SENSE_INVALID_FIELD);
        return;
    }
    if (!scsi_has_list(req, len)) {
        return;
    }
    iov_to_buf(req->out, req->out_num, 0, list, len);
    sense = apply_mode(req->dev, list, len, ten);
    if (sense.key) {
        scsi_check(req, sense);
    } else if (scsi_is_read_only(req->dev)) {
        scsi_good(req, len);
    } else {
        scsi_flush(req);        /* what the cache held may have to be stable from now on */
    }
}
