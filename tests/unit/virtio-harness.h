/*
 * A fake machine with RAM, one virtio-mmio transport and a driver's side that
 * can misbehave: for tests of devices without any accelerator.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_VIRTIO_HARNESS_H
#define TESTS_UNIT_VIRTIO_HARNESS_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "hw/boards.h"
#include "hw/virtio/virtio.h"

#define VT_RAM_SIZE  (16u << 20)        /* at 0 */
#define VT_HIGH_BASE (4ull << 30)
#define VT_HIGH_SIZE (1u << 20)
#define VT_MMIO_BASE 0xd0000000ull
#define VT_IO_BASE   0xfec00000ull      /* some other device's registers */

#define VT_F_RING_RESET 40

enum {
    VT_MAGIC = 0x00, VT_VERSION = 0x04, VT_DEVICE_ID = 0x08,
    VT_DEVICE_FEATURES = 0x10, VT_DEVICE_FEATURES_SEL = 0x14,
    VT_DRIVER_FEATURES = 0x20, VT_DRIVER_FEATURES_SEL = 0x24,
    VT_GUEST_PAGE_SIZE = 0x28, VT_QUEUE_SEL = 0x30, VT_QUEUE_NUM_MAX = 0x34,
    VT_QUEUE_NUM = 0x38, VT_QUEUE_ALIGN = 0x3c, VT_QUEUE_PFN = 0x40,
    VT_QUEUE_READY = 0x44, VT_QUEUE_NOTIFY = 0x50, VT_ISR = 0x60,
    VT_ACK = 0x64, VT_STATUS = 0x70, VT_DESC = 0x80, VT_AVAIL = 0x90,
    VT_USED = 0xa0, VT_SHM_SEL = 0xac, VT_SHM_LEN = 0xb0, VT_SHM_BASE = 0xb8,
    VT_QUEUE_RESET = 0xc0, VT_GENERATION = 0xfc, VT_CONFIG = 0x100,
};

/* The driver's side of a queue. */
typedef struct VTRing {
    unsigned index, num;
    hwaddr desc_addr, avail_addr, used_addr;
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    uint16_t last_used;
    unsigned next_desc;         /* vt_add() takes descriptors from here */
} VTRing;

typedef struct VT {
    MachineState *ms;
    VirtIODevice *vdev;
    bool legacy;
    uint8_t *ram, *high;
    MemoryRegion ram_mr, high_mr, io_mr;
    unsigned io_accesses;       /* to VT_IO_BASE */
    int irq_level;
    unsigned irq_edges;
    hwaddr next_ring;           /* vt_setup_queue() takes memory from here */
    VTRing ring[8];
} VT;

/* A machine with an empty transport; the process' main loop on first use. */
VT *vt_new(bool legacy);
/* Plug in and seal. dc may be any class; options as after "-device NAME,". */
void vt_plug(VT *t, const DeviceClass *dc, const char *options);
/* The same where realize must fail; returns the message (caller frees). */
char *vt_plug_error(VT *t, const DeviceClass *dc, const char *options);
void vt_free(VT *t);

uint32_t vt_rd(VT *t, unsigned reg);
void vt_wr(VT *t, unsigned reg, uint32_t val);
uint64_t vt_rd_sized(VT *t, unsigned reg, unsigned size);
void vt_wr_sized(VT *t, unsigned reg, uint64_t val, unsigned size);
/* Run the main loop until nothing is left to do. */
void vt_poll(VT *t);
/* Poll (up to 5 s) until cond holds. */
#define VT_WAIT(t, cond) do { \
        gint64 vt_end = g_get_monotonic_time() + 5 * G_USEC_PER_SEC; \
        while (!(cond)) { \
            g_assert_cmpint(g_get_monotonic_time(), <, vt_end); \
            vt_poll(t); \
        } \
    } while (0)

uint64_t vt_offered(VT *t);
/* Reset and go up to FEATURES_OK with want of what is offered. */
void vt_negotiate(VT *t, uint64_t want);
/* Lay out queue n with num entries in fresh memory and make it ready. */
VTRing *vt_setup_queue(VT *t, unsigned n, unsigned num);
/* Only lay it out: addresses in the VTRing, nothing told to the device. */
VTRing *vt_layout_queue(VT *t, unsigned n, unsigned num);
void vt_tell_queue(VT *t, VTRing *r);
void vt_driver_ok(VT *t);
/* All of it with one queue of num entries. */
VTRing *vt_start(VT *t, uint64_t want, unsigned num);

/* Write a descriptor. */
void vt_desc(VTRing *r, unsigned i, uint64_t addr, uint32_t len,
             uint16_t flags, uint16_t next);
/* Make head available; the index moves at once. */
void vt_avail(VTRing *r, unsigned head);
void vt_kick(VT *t, VTRing *r);
/* Next used element, or NULL. */
const struct vring_used_elem *vt_used(VTRing *r);

/* A buffer of a request for vt_add(). */
typedef struct VTBuf {
    uint64_t addr;
    uint32_t len;
    bool write;
} VTBuf;
/* Chain n buffers and make them available; returns the head. */
unsigned vt_add(VTRing *r, const VTBuf *buf, unsigned n);

/* The device wants a reset and has said so by a configuration interrupt. */
void vt_assert_needs_reset(VT *t);

/*
 * A device for tests: three queues of up to 16, 16 and 1024 entries. It answers
 * a request with a byte sum of what it read, repeated, in all that it may write;
 * or holds requests when told to.
 */
typedef struct VTDevice {
    VirtIODevice vdev;
    VirtQueue *vq[3];
    bool hold;
    VirtQueueElement *held[1024];
    unsigned nr_held;
    unsigned popped, kicked, started, stopped, resets;
    uint64_t config;
    bool has_shm;
} VTDevice;
extern const VirtioDeviceClass vt_device_class;
/* Answer one (any) held request, or all in reverse order. */
void vt_device_complete(VTDevice *d, unsigned i);
void vt_device_complete_all(VTDevice *d);
/* vt_new() and vt_plug() of the test device. */
VT *vt_new_device(gconstpointer legacy, VTDevice **d);

/* g_test_add_data_func() twice: PATH/modern (data 0) and PATH/legacy (1). */
void vt_add_test(const char *path, void (*fn)(gconstpointer legacy));
void vt_add_modern_test(const char *path, void (*fn)(gconstpointer legacy));

#endif
