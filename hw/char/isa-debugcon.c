/*
 * isa-debugcon: a port that prints what is written to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/char-txq.h"
#include "hw/isa/isa.h"

/* What may wait for a slow reader: the port has no flow control. */
#define TX_QUEUE (64 * 1024)

typedef struct ISADebugcon {
    DeviceState dev;
    uint32_t iobase;
    uint32_t readback;
    CharBackend chr;
    MemoryRegion io;
    CharTxQueue tx;
} ISADebugcon;

static uint64_t debugcon_read(void *opaque, hwaddr addr, unsigned size)
{
    /* Firmware finds the port by this value. */
    return ((ISADebugcon *)opaque)->readback;
}

static void debugcon_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    ISADebugcon *d = opaque;
    uint8_t byte = data;

    chr_txq_write(&d->tx, &byte, 1);
}

static const MemoryRegionOps debugcon_ops = {
    .read = debugcon_read,
    .write = debugcon_write,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
};

static bool debugcon_realize(DeviceState *dev, Error **errp)
{
    ISADebugcon *d = downcast(dev, ISADebugcon, dev);

    if (!d->chr.chr) {
        error_setg(errp, "Can't create debugcon device, empty char device");
        return false;
    }
    chr_txq_init(&d->tx, &d->chr, TX_QUEUE, NULL, NULL);
    memory_region_init_io(&d->io, &debugcon_ops, d, "isa-debugcon", 1);
    return isa_register_ioport(dev, &d->io, d->iobase, errp);
}

static void debugcon_unrealize(DeviceState *dev)
{
    chr_txq_cleanup(&downcast(dev, ISADebugcon, dev)->tx);
}

STATE_NOT(ISADebugcon, tx, "the peer is the host's: what it has not read stays here");

static const Property debugcon_props[] = {
    DEFINE_PROP_UINT32("iobase", ISADebugcon, iobase, "233", "I/O port"),
    DEFINE_PROP_UINT32("readback", ISADebugcon, readback, "233",
                       "what reading the port gives"),
    DEFINE_PROP_CHR("chardev", ISADebugcon, chr),
    DEFINE_PROP_END
};

static const DeviceClass debugcon_class = {
    .oc = {
        .name = "isa-debugcon",
        .desc = "port that prints what is written to it",
        .instance_size = sizeof(ISADebugcon),
        .props = debugcon_props,
    },
    .bus_type = TYPE_ISA_BUS,
    .user_creatable = true,
    .realize = debugcon_realize,
    .unrealize = debugcon_unrealize,
    .state = MACHINE_STATE(&state_none),
};
DEFINE_CLASS(isa_debugcon, &debugcon_class.oc);
