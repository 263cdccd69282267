/*
 * SCSI disks and CD drives: between a host bus adapter, which has a bus and carries requests, and
 * the devices on it, which serve them (SPC-3, SBC-3, MMC-5, SAM-4).
 *
 * Requests, and a device's state, belong to the loop of the adapter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SCSI_SCSI_H
#define HW_SCSI_SCSI_H

#include "hw/block/block-conf.h"
#include "hw/qdev.h"
#include "qemu/property.h"

#define SCSI_BUS        "SCSI"
#define SCSI_TARGETS    256
#define SCSI_LUN_MAX    16383
#define SCSI_CDB_MAX    16
#define SCSI_ANY        UINT32_MAX  /* scsi-id=, lun=: the next that is free */

/* Status codes. */
#define SCSI_GOOD               0x00
#define SCSI_CHECK_CONDITION    0x02

typedef struct SCSIBus SCSIBus;
typedef struct SCSIDevice SCSIDevice;
typedef struct SCSIRequest SCSIRequest;

/* Key, additional code and qualifier (SPC-3, annex D). */
typedef struct SCSISense {
    uint8_t key, asc, ascq;
} SCSISense;

#define SENSE_NONE              ((SCSISense) { 0, 0, 0 })
#define SENSE_NO_MEDIUM         ((SCSISense) { 0x02, 0x3a, 0x00 })
#define SENSE_TRAY_OPEN         ((SCSISense) { 0x02, 0x3a, 0x02 })
#define SENSE_READ_ERROR        ((SCSISense) { 0x03, 0x11, 0x00 })
#define SENSE_WRITE_ERROR       ((SCSISense) { 0x03, 0x0c, 0x00 })
#define SENSE_LIST_LENGTH       ((SCSISense) { 0x05, 0x1a, 0x00 })
#define SENSE_INVALID_OPCODE    ((SCSISense) { 0x05, 0x20, 0x00 })
#define SENSE_LBA_RANGE         ((SCSISense) { 0x05, 0x21, 0x00 })
#define SENSE_INVALID_FIELD     ((SCSISense) { 0x05, 0x24, 0x00 })
#define SENSE_INVALID_LUN       ((SCSISense) { 0x05, 0x25, 0x00 })
#define SENSE_INVALID_PARAM     ((SCSISense) { 0x05, 0x26, 0x00 })
#define SENSE_NO_SAVED_PAGES    ((SCSISense) { 0x05, 0x39, 0x00 })
#define SENSE_REMOVAL_PREVENTED ((SCSISense) { 0x05, 0x53, 0x02 })
#define SENSE_NEW_MEDIUM        ((SCSISense) { 0x06, 0x28, 0x00 })
#define SENSE_RESET             ((SCSISense) { 0x06, 0x29, 0x00 })
#define SENSE_CAPACITY_CHANGED  ((SCSISense) { 0x06, 0x2a, 0x09 })
#define SENSE_LUNS_CHANGED      ((SCSISense) { 0x06, 0x3f, 0x0e })
#define SENSE_WRITE_PROTECTED   ((SCSISense) { 0x07, 0x27, 0x00 })
#define SENSE_NO_SPACE          ((SCSISense) { 0x07, 0x27, 0x07 })

/* What the adapter does for its devices. */
typedef struct SCSIBusOps {
    /* The device is complete: requests may come. Machine lock. */
    void (*plug)(SCSIBus *bus, SCSIDevice *dev);
    /* No request of it is under way when this returns. Machine lock. */
    void (*unplug)(SCSIBus *bus, SCSIDevice *dev);
    /* The loop that requests come from; NULL: the main loop. */
    GMainContext *(*get_context)(SCSIBus *bus);
    /* Run fn in that loop and wait for it. Machine lock. */
    void (*run)(SCSIBus *bus, void (*fn)(void *opaque), void *opaque);
    /* Requests were completed: tell the guest. Loop. */
    void (*batch_end)(SCSIBus *bus);
    /* The guest is to look at the device: what its unit attention says. Loop. */
    void (*changed)(SCSIBus *bus, SCSIDevice *dev);
} SCSIBusOps;

struct SCSIBus {
    BusState bus;
    const SCSIBusOps *ops;
    SCSIDevice *targets[SCSI_TARGETS];      /* the lowest LUN of each; loop */
};

/* What CD drives and disks differ in. */
typedef struct SCSIDeviceClass {
    DeviceClass dc;
    uint8_t type;               /* peripheral device type: SCSI_TYPE_* */
} SCSIDeviceClass;
#define SCSI_TYPE_DISK  0x00
#define SCSI_TYPE_CD    0x05

struct SCSIDevice {
    DeviceState dev;
    /* Properties. */
    BlockConf conf;
    uint32_t channel, id, lun;
    char *vendor, *product, *version, *serial, *device_id;
    uint64_t wwn, port_wwn, max_unmap_size;
    uint32_t rotation_rate;
    uint16_t port_index;
    bool removable;

    SCSIBus *bus;
    SCSIDevice *next;           /* of the same target, by LUN */
    bool initial_wce;           /* what the user wants; resets go back to it */
    bool saved_wce;             /* what was in force when the machine was saved */
    bool need_kick;             /* requests wait for the end of the batch */
    /* What the guest can tell: loop. */
    SCSISense attention;        /* a condition that is reported once; key 0: none */
    bool tray_open, locked;
    uint8_t media_event;        /* for GET EVENT STATUS NOTIFICATION; 0: none */
};

/* One command. The adapter fills in the first part and calls scsi_request_start(). */
struct SCSIRequest {
    SCSIDevice *dev;            /* of the target */
    uint32_t lun;               /* that was asked for: the target need not have it */
    uint8_t cdb[SCSI_CDB_MAX];
    struct iovec *out, *in;     /* data; consumed */
    unsigned out_num, in_num;
    size_t out_len, in_len;
    /* Status, sense and transferred are final. */
    void (*complete)(SCSIRequest *req);

    uint8_t status;
    SCSISense sense;
    bool overrun;               /* the command wants more data than there are buffers for */
    size_t transferred;         /* from or to the buffers, from their start */
    bool failed;                /* stopped the machine: scsi_request_retry() when it goes on */
    /* Private to the commands. */
    BlockRequest breq;
    uint64_t lba, left;         /* of a command in steps: where it is, blocks to come */
    unsigned step;
    int *step_end;              /* the caller of blk_submit() looks there */
    uint8_t *pattern;           /* owned; NULL: none */
    struct iovec pattern_iov;
};

/* The device of a target and LUN; the lowest of the target if it has no such LUN; or NULL. */
SCSIDevice *scsi_find(const SCSIBus *bus, unsigned id, unsigned lun);
/* Put it where scsi_find() looks, and take it out; loop. */
void scsi_link(SCSIBus *bus, SCSIDevice *dev);
void scsi_unlink(SCSIBus *bus, SCSIDevice *dev);

/* Ends with complete(), maybe before it returns. blk_kick() makes requests of the host go. */
void scsi_request_start(SCSIRequest *req);
void scsi_request_retry(SCSIRequest *req);
/* Nobody will complete it: free what it has. */
void scsi_request_forget(SCSIRequest *req);
/* Sense data in the fixed format. */
#define SCSI_SENSE_LEN 18
void scsi_fill_sense(SCSISense sense, uint8_t *buf);

/* Something that the next command is to report. */
static inline void scsi_set_attention(SCSIDevice *dev, SCSISense sense)
{
    dev->attention = sense;
}

#endif
