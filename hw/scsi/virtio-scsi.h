/*
 * virtio-scsi: state shared by its two files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SCSI_VIRTIO_SCSI_H
#define HW_SCSI_VIRTIO_SCSI_H

#include <linux/virtio_scsi.h>

#include "hw/virtio/virtio.h"
#include "scsi.h"

#define VSCSI_CTRL_QUEUE    0
#define VSCSI_EVENT_QUEUE   1
#define VSCSI_FIRST_QUEUE   2       /* of commands */
#define VSCSI_MAX_QUEUES    1022
#define VSCSI_CDB_MAX       255     /* that a driver can ask for */
#define VSCSI_SENSE_MAX     252

typedef struct VirtIOSCSI {
    VirtIODevice vdev;
    SCSIBus bus;

    /* Properties. */
    ObjectLink iothread;
    uint32_t num_queues, queue_size, max_sectors, cmd_per_lun;
    bool hotplug, param_change;

    uint32_t sense_size, cdb_size;      /* the driver's; constant while it runs */
    /* In the loop. */
    GQueue requests;            /* of VirtIOSCSIReq, all under way, oldest first */
    GQueue tasks;               /* of VirtIOSCSITask */
    uint64_t serial;            /* of the next request or task */
    uint64_t *dirty;            /* a bit for each queue with completions that are not told */
    bool events_missed;
} VirtIOSCSI;

static inline VirtIOSCSI *virtio_scsi_of(SCSIBus *bus)
{
    return container_of(bus, VirtIOSCSI, bus);
}

/* Handlers, and what becomes of what is under way; loop. virtio-scsi-req.c. */
size_t virtio_scsi_req_size(void);
size_t virtio_scsi_task_size(void);
void virtio_scsi_handle_cmd(VirtIODevice *vdev, VirtQueue *vq);
void virtio_scsi_handle_ctrl(VirtIODevice *vdev, VirtQueue *vq);
/* Tell the guest of completions. */
void virtio_scsi_notify(VirtIOSCSI *s);
/* Submit once more what stopped the machine. */
void virtio_scsi_retry(VirtIOSCSI *s);
/* Nothing of the device is under way from now on. */
void virtio_scsi_abandon(VirtIOSCSI *s, SCSIDevice *dev);
/* Elements of the queue are gone (NULL: all are). */
void virtio_scsi_forget(VirtIOSCSI *s, const VirtQueue *vq);

#endif
