/*
 * Names of virtio devices, features and states, as the specification has them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_9p.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_scsi.h>
#include <linux/virtio_vsock.h>

#include "virtio-internal.h"

/* Device 0 stands for all. */
typedef struct FeatureName {
    uint8_t device_id, bit;
    const char *name;
} FeatureName;

#define ALL(name)           { 0, name, #name }
#define BALLOON(name)       { VIRTIO_ID_BALLOON, name, #name }
#define BLK(name)           { VIRTIO_ID_BLOCK, name, #name }
#define CONSOLE(name)       { VIRTIO_ID_CONSOLE, name, #name }
#define NET(name)           { VIRTIO_ID_NET, name, #name }

static const FeatureName features[] = {
    ALL(VIRTIO_F_NOTIFY_ON_EMPTY),
    ALL(VIRTIO_F_ANY_LAYOUT),
    ALL(VIRTIO_RING_F_INDIRECT_DESC),
    ALL(VIRTIO_RING_F_EVENT_IDX),
    ALL(VIRTIO_F_VERSION_1),
    ALL(VIRTIO_F_RING_PACKED),
    { 0, VIRTIO_FEATURE_IN_ORDER, "VIRTIO_F_IN_ORDER" },
    { 0, VIRTIO_FEATURE_NOTIFICATION_DATA, "VIRTIO_F_NOTIFICATION_DATA" },
    { 0, VIRTIO_FEATURE_RING_RESET, "VIRTIO_F_RING_RESET" },
    BALLOON(VIRTIO_BALLOON_F_MUST_TELL_HOST),
    BALLOON(VIRTIO_BALLOON_F_STATS_VQ),
    BALLOON(VIRTIO_BALLOON_F_DEFLATE_ON_OOM),
    BALLOON(VIRTIO_BALLOON_F_FREE_PAGE_HINT),
    BALLOON(VIRTIO_BALLOON_F_PAGE_POISON),
    BALLOON(VIRTIO_BALLOON_F_REPORTING),
    BLK(VIRTIO_BLK_F_SIZE_MAX),
    BLK(VIRTIO_BLK_F_SEG_MAX),
    BLK(VIRTIO_BLK_F_GEOMETRY),
    BLK(VIRTIO_BLK_F_RO),
    BLK(VIRTIO_BLK_F_BLK_SIZE),
    BLK(VIRTIO_BLK_F_FLUSH),
    BLK(VIRTIO_BLK_F_TOPOLOGY),
    BLK(VIRTIO_BLK_F_CONFIG_WCE),
    BLK(VIRTIO_BLK_F_MQ),
    BLK(VIRTIO_BLK_F_DISCARD),
    BLK(VIRTIO_BLK_F_WRITE_ZEROES),
    CONSOLE(VIRTIO_CONSOLE_F_SIZE),
    CONSOLE(VIRTIO_CONSOLE_F_MULTIPORT),
    CONSOLE(VIRTIO_CONSOLE_F_EMERG_WRITE),
    NET(VIRTIO_NET_F_CSUM),
    NET(VIRTIO_NET_F_GUEST_CSUM),
    NET(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS),
    NET(VIRTIO_NET_F_MTU),
    NET(VIRTIO_NET_F_MAC),
    NET(VIRTIO_NET_F_GUEST_TSO4),
    NET(VIRTIO_NET_F_GUEST_TSO6),
    NET(VIRTIO_NET_F_GUEST_ECN),
    NET(VIRTIO_NET_F_GUEST_UFO),
    NET(VIRTIO_NET_F_HOST_TSO4),
    NET(VIRTIO_NET_F_HOST_TSO6),
    NET(VIRTIO_NET_F_HOST_ECN),
    NET(VIRTIO_NET_F_HOST_UFO),
    NET(VIRTIO_NET_F_MRG_RXBUF),
    NET(VIRTIO_NET_F_STATUS),
    NET(VIRTIO_NET_F_CTRL_VQ),
    NET(VIRTIO_NET_F_CTRL_RX),
    NET(VIRTIO_NET_F_CTRL_VLAN),
    NET(VIRTIO_NET_F_CTRL_RX_EXTRA),
    NET(VIRTIO_NET_F_GUEST_ANNOUNCE),
    NET(VIRTIO_NET_F_MQ),
    NET(VIRTIO_NET_F_CTRL_MAC_ADDR),
    NET(VIRTIO_NET_F_SPEED_DUPLEX),
    { VIRTIO_ID_9P, VIRTIO_9P_MOUNT_TAG, "VIRTIO_9P_F_MOUNT_TAG" },
    { VIRTIO_ID_FS, 0, "VIRTIO_FS_F_NOTIFICATION" },
    { VIRTIO_ID_PMEM, 0, "VIRTIO_PMEM_F_SHMEM_REGION" },
    { VIRTIO_ID_SCSI, VIRTIO_SCSI_F_HOTPLUG, "VIRTIO_SCSI_F_HOTPLUG" },
    { VIRTIO_ID_SCSI, VIRTIO_SCSI_F_CHANGE, "VIRTIO_SCSI_F_CHANGE" },
    { VIRTIO_ID_VSOCK, 0, "VIRTIO_VSOCK_F_STREAM" },
    { VIRTIO_ID_VSOCK, VIRTIO_VSOCK_F_SEQPACKET, "VIRTIO_VSOCK_F_SEQPACKET" },
};

bool virtio_feature_is_generic(unsigned bit)
{
    /* Section 2.2: devices have 0 to 23 and from 50 on. */
    return bit >= 24 && bit < 50;
}

const char *virtio_feature_name(uint16_t device_id, unsigned bit)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        const FeatureName *f = &features[i];

        if (f->bit == bit && (!f->device_id || f->device_id == device_id)) {
            return f->name;
        }
    }
    return NULL;
}

const char *virtio_device_name(uint16_t device_id)
{
    switch (device_id) {
    case VIRTIO_ID_NET:
        return "virtio-net";
    case VIRTIO_ID_BLOCK:
        return "virtio-blk";
    case VIRTIO_ID_CONSOLE:
        return "virtio-serial";
    case VIRTIO_ID_BALLOON:
        return "virtio-balloon";
    case VIRTIO_ID_RNG:
        return "virtio-rng";
    case VIRTIO_ID_INPUT:
        return "virtio-input";
    case VIRTIO_ID_SCSI:
        return "virtio-scsi";
    case VIRTIO_ID_VSOCK:
        return "virtio-vsock";
    case VIRTIO_ID_FS:
        return "virtio-fs";
    case VIRTIO_ID_PMEM:
        return "virtio-pmem";
    case VIRTIO_ID_9P:
        return "virtio-9p";
    default:
        return "virtio-device";
    }
}

const char *virtio_status_name(unsigned bit)
{
    switch (1u << bit) {
    case VIRTIO_CONFIG_S_ACKNOWLEDGE:
        return "VIRTIO_CONFIG_S_ACKNOWLEDGE";
    case VIRTIO_CONFIG_S_DRIVER:
        return "VIRTIO_CONFIG_S_DRIVER";
    case VIRTIO_CONFIG_S_DRIVER_OK:
        return "VIRTIO_CONFIG_S_DRIVER_OK";
    case VIRTIO_CONFIG_S_FEATURES_OK:
        return "VIRTIO_CONFIG_S_FEATURES_OK";
    case VIRTIO_CONFIG_S_NEEDS_RESET:
        return "VIRTIO_CONFIG_S_NEEDS_RESET";
    case VIRTIO_CONFIG_S_FAILED:
        return "VIRTIO_CONFIG_S_FAILED";
    default:
        return NULL;
    }
}
