/*
 * What the files with commands share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SCSI_SCSI_INTERNAL_H
#define HW_SCSI_SCSI_INTERNAL_H

#include "scsi.h"

/* Big-endian numbers of n bytes. */
static inline uint64_t scsi_get(const uint8_t *p, unsigned n)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < n; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

static inline void scsi_put(uint8_t *p, unsigned n, uint64_t value)
{
    for (unsigned i = n; i > 0; i--) {
        p[i - 1] = value;
        value >>= 8;
    }
}

/* Answers that are made in a buffer are no longer. */
#define SCSI_REPLY_MAX 512

/* Ends of a request. */
void scsi_good(SCSIRequest *req, size_t transferred);
void scsi_check(SCSIRequest *req, SCSISense sense);
/* Data for the guest, no more than the allocation length alloc of the command. */
void scsi_reply(SCSIRequest *req, const void *data, size_t len, size_t alloc);
/* True if there are buffers for so much; else the request has ended. */
bool scsi_has_in(SCSIRequest *req, uint64_t bytes);
bool scsi_has_out(SCSIRequest *req, uint64_t bytes);
/* The same of a list of parameters, whose absence is no error: it ends the request well. */
bool scsi_has_list(SCSIRequest *req, size_t len);

static inline bool scsi_is_cd(const SCSIDevice *dev)
{
    return downcast(dev->dev.obj.oc, const SCSIDeviceClass, dc.oc)->type == SCSI_TYPE_CD;
}

/* Logical blocks on the medium. */
static inline uint64_t scsi_blocks(const SCSIDevice *dev)
{
    return dev->conf.blk ? blk_getlength(dev->conf.blk) / dev->conf.logical_block_size : 0;
}

static inline bool scsi_is_read_only(const SCSIDevice *dev)
{
    return scsi_is_cd(dev) || blk_is_read_only(dev->conf.blk);
}

/* A command; each ends the request. */
typedef void SCSICommandFn(SCSIRequest *req);

/* scsi-info.c */
SCSICommandFn scsi_inquiry, scsi_request_sense, scsi_report_luns, scsi_read_capacity10,
    scsi_service_action_in, scsi_mode_sense, scsi_mode_select;
/* scsi-rw.c */
SCSICommandFn scsi_read, scsi_write, scsi_verify, scsi_sync, scsi_unmap, scsi_write_same;
/* Write back what is cached, then end the request. */
void scsi_flush(SCSIRequest *req);
/* scsi-cd.c */
SCSICommandFn scsi_start_stop, scsi_prevent, scsi_read_toc, scsi_get_configuration,
    scsi_event_status, scsi_disc_information, scsi_mechanism_status;
/* The mode page of a CD drive's abilities: 22 bytes into buf. */
size_t scsi_cd_page(const SCSIDevice *dev, uint8_t *buf);

#endif
