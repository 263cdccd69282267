/*
 * scsi-hd and scsi-cd: a disk and a CD drive on a SCSI bus.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/boards.h"
#include "scsi-internal.h"

#define SERIAL_MAX      36
#define DEVICE_ID_MAX   200
#define CD_BLOCK_SIZE   2048

/* Places on the bus ---------------------------------------------------------------- */

SCSIDevice *scsi_find(const SCSIBus *bus, unsigned id, unsigned lun)
{
    SCSIDevice *first = id < SCSI_TARGETS ? bus->targets[id] : NULL;

    for (SCSIDevice *dev = first; dev; dev = dev->next) {
        if (dev->lun == lun) {
            return dev;
        }
    }
    return first;
}

void scsi_link(SCSIBus *bus, SCSIDevice *dev)
{
    SCSIDevice **p = &bus->targets[dev->id];

    for (SCSIDevice *other = *p; other; other = other->next) {
        scsi_set_attention(other, SENSE_LUNS_CHANGED);
    }
    while (*p && (*p)->lun < dev->lun) {
        p = &(*p)->next;
    }
    dev->next = *p;
    *p = dev;
}

void scsi_unlink(SCSIBus *bus, SCSIDevice *dev)
{
    SCSIDevice **p = &bus->targets[dev->id];

    while (*p != dev) {
        p = &(*p)->next;
    }
    *p = dev->next;
    for (SCSIDevice *other = bus->targets[dev->id]; other; other = other->next) {
        scsi_set_attention(other, SENSE_LUNS_CHANGED);
    }
}

static bool is_free(const SCSIBus *bus, unsigned id, unsigned lun)
{
    const SCSIDevice *dev = scsi_find(bus, id, lun);

    return !dev || dev->lun != lun;
}

/* Targets and LUNs that the user did not choose: the first that are free. */
static bool choose_place(SCSIDevice *dev, const SCSIBus *bus, Error **errp)
{
    unsigned id = dev->id == SCSI_ANY ? 0 : dev->id, lun = dev->lun == SCSI_ANY ? 0 : dev->lun;

    if (dev->channel || (dev->id != SCSI_ANY && dev->id >= SCSI_TARGETS)) {
        error_setg(errp, "bad scsi %s: %u", dev->channel ? "channel id" : "device id",
                   dev->channel ? dev->channel : dev->id);
        return false;
    }
    if (dev->lun != SCSI_ANY && dev->lun > SCSI_LUN_MAX) {
        error_setg(errp, "bad scsi device lun: %u", dev->lun);
        return false;
    }
    while (dev->id == SCSI_ANY && id < SCSI_TARGETS && !is_free(bus, id, lun)) {
        id++;
    }
    while (dev->id != SCSI_ANY && dev->lun == SCSI_ANY && lun <= SCSI_LUN_MAX &&
           !is_free(bus, id, lun)) {
        lun++;
    }
    if (id >= SCSI_TARGETS || lun > SCSI_LUN_MAX) {
        error_setg(errp, dev->id == SCSI_ANY ? "no free target" : "no free lun");
        return false;
    }
    if (!is_free(bus, id, lun)) {
        error_setg(errp, "lun already used by '%s'", qdev_name(&scsi_find(bus, id, lun)->dev));
        return false;
    }
    dev->id = id;
    dev->lun = lun;
    return true;
}

/* What the host tells --------------------------------------------------------------- */

static void batch_end(void *opaque)
{
    SCSIDevice *dev = opaque;

    dev->bus->ops->batch_end(dev->bus);
    if (dev->need_kick) {
        dev->need_kick = false;
        blk_kick(dev->conf.blk);
    }
}

static void tell_capacity(void *opaque)
{
    SCSIDevice *dev = opaque;

    scsi_set_attention(dev, SENSE_CAPACITY_CHANGED);
    dev->bus->ops->changed(dev->bus, dev);
}

static void resized(void *opaque)
{
    SCSIDevice *dev = opaque;

    dev->bus->ops->run(dev->bus, tell_capacity, dev);
}

static const BlockDevOps scsi_block_ops = { .batch_end = batch_end, .resized = resized };

/* Properties ------------------------------------------------------------------------ */

static bool check_text(const char *name, const char *text, size_t max, Error **errp)
{
    if (text && strlen(text) > max) {
        error_setg(errp, "%s is longer than %zu characters", name, max);
        return false;
    }
    return true;
}

static void default_text(char **text, const char *value)
{
    if (!*text) {
        *text = g_strdup(value);
    }
}

static bool check_texts(SCSIDevice *dev, Error **errp)
{
    bool cd = scsi_is_cd(dev);
    BlockBackend *blk = dev->conf.blk;

    default_text(&dev->vendor, "QEMU");
    default_text(&dev->product, cd ? "QEMU CD-ROM" : "QEMU HARDDISK");
    default_text(&dev->version, "2.5+");
    default_text(&dev->serial, blk ? blk_get_serial(blk) : NULL);
    default_text(&dev->device_id, dev->serial ? dev->serial : blk ? blk_name(blk) : NULL);
    return check_text("vendor", dev->vendor, 8, errp) &&
           check_text("product", dev->product, 16, errp) &&
           check_text("ver", dev->version, 4, errp) &&
           check_text("serial", dev->serial, SERIAL_MAX, errp) &&
           check_text("device_id", dev->device_id, DEVICE_ID_MAX, errp);
}

static bool check_properties(SCSIDevice *dev, Error **errp)
{
    bool cd = scsi_is_cd(dev);

    if (!dev->conf.blk && !cd) {
        error_setg(errp, "drive property not set");
        return false;
    }
    if (!block_conf_check(&dev->conf, cd ? CD_BLOCK_SIZE : BDRV_SECTOR_SIZE, errp)) {
        return false;
    }
    if (dev->rotation_rate > UINT16_MAX) {
        error_setg(errp, "rotation_rate must be at most %u", UINT16_MAX);
        return false;
    }
    if (dev->max_unmap_size > BDRV_REQUEST_MAX_BYTES) {
        error_setg(errp, "max_unmap_size must be at most %u", BDRV_REQUEST_MAX_BYTES);
        return false;
    }
    dev->removable |= cd;
    return check_texts(dev, errp);
}

/* Life ------------------------------------------------------------------------------- */

static bool scsi_device_realize(DeviceState *d, Error **errp)
{
    SCSIDevice *dev = downcast(d, SCSIDevice, dev);
    BlockBackend *blk = dev->conf.blk;

    dev->bus = downcast(d->parent_bus, SCSIBus, bus);
    if (!check_properties(dev, errp) || !choose_place(dev, dev->bus, errp) ||
        (blk && !block_conf_attach(&dev->conf, qdev_name(d), !scsi_is_cd(dev), errp))) {
        return false;
    }
    if (blk) {
        dev->initial_wce = blk_get_write_cache(blk);
        blk_set_context(blk, dev->bus->ops->get_context(dev->bus), &scsi_block_ops, dev);
    }
    scsi_set_attention(dev, SENSE_RESET);
    dev->bus->ops->plug(dev->bus, dev);
    return true;
}

/* In the loop, whose sources the backend's engines are. */
static void leave_loop(void *opaque)
{
    blk_set_context(opaque, NULL, NULL, NULL);
}

static void scsi_device_unrealize(DeviceState *d)
{
    SCSIDevice *dev = downcast(d, SCSIDevice, dev);

    dev->bus->ops->unplug(dev->bus, dev);
    if (dev->conf.blk) {
        dev->bus->ops->run(dev->bus, leave_loop, dev->conf.blk);
        blk_detach(dev->conf.blk);
        dev->conf.blk = NULL;
    }
}

static void scsi_device_reset(DeviceState *d)
{
    SCSIDevice *dev = downcast(d, SCSIDevice, dev);

    scsi_set_attention(dev, SENSE_RESET);
    dev->tray_open = dev->locked = false;
    dev->media_event = 0;
    if (dev->conf.blk) {
        blk_set_write_cache(dev->conf.blk, dev->initial_wce);
    }
}

#define SCSI_PROPS \
    DEFINE_BLOCK_PROPS(SCSIDevice, conf), \
    DEFINE_PROP_UINT32("channel", SCSIDevice, channel, "0", "0"), \
    DEFINE_PROP_UINT32("scsi-id", SCSIDevice, id, "4294967295", \
                       "its target: 0 to 255; the first that is free"), \
    DEFINE_PROP_UINT32("lun", SCSIDevice, lun, "4294967295", \
                       "of the target: 0 to 16383; the first that is free"), \
    DEFINE_PROP_STRING("vendor", SCSIDevice, vendor, NULL, "up to 8 characters"), \
    DEFINE_PROP_STRING("product", SCSIDevice, product, NULL, "up to 16"), \
    DEFINE_PROP_STRING("ver", SCSIDevice, version, NULL, "up to 4"), \
    DEFINE_PROP_STRING("serial", SCSIDevice, serial, NULL, "up to 36"), \
    DEFINE_PROP_STRING("device_id", SCSIDevice, device_id, NULL, \
                       "what it is identified by: the serial number, or the drive's name"), \
    DEFINE_PROP_UINT64("wwn", SCSIDevice, wwn, "0", "its world wide name"), \
    DEFINE_PROP_UINT64("port_wwn", SCSIDevice, port_wwn, "0", "that of its port"), \
    DEFINE_PROP_UINT16("port_index", SCSIDevice, port_index, "0", "the number of its port"), \
    DEFINE_PROP_IGNORED("bootindex", "accepted: there is no firmware")

static const Property scsi_hd_props[] = {
    SCSI_PROPS,
    DEFINE_PROP_UINT32("rotation_rate", SCSIDevice, rotation_rate, "0",
                       "in a minute; 1: it does not rotate"),
    DEFINE_PROP_SIZE("max_unmap_size", SCSIDevice, max_unmap_size, "1G",
                     "most bytes that one entry of UNMAP names"),
    DEFINE_PROP_BOOL("removable", SCSIDevice, removable, "off", "say that the medium is"),
    DEFINE_PROP_END
};

static const Property scsi_cd_props[] = { SCSI_PROPS, DEFINE_PROP_END };

/* State -------------------------------------------------------------------------------- */

STATE_NOT(SCSIDevice, conf, "properties");
STATE_NOT(SCSIDevice, bus, "the bus's");
STATE_NOT(SCSIDevice, next, "the bus's");
STATE_NOT(SCSIDevice, initial_wce, "what a property says");
STATE_NOT(SCSIDevice, need_kick, "nothing is under way");

static void scsi_pre_save(void *obj)
{
    SCSIDevice *dev = obj;

    dev->saved_wce = dev->conf.blk && blk_get_write_cache(dev->conf.blk);
}

static bool scsi_post_load(void *obj, Error **errp)
{
    SCSIDevice *dev = obj;

    if (dev->conf.blk) {
        blk_set_write_cache(dev->conf.blk, dev->saved_wce);
    }
    return true;
}

static const StateField sense_fields[] = {
    STATE_MAX(SCSISense, key, 0xf),
    STATE_INT(SCSISense, asc),
    STATE_INT(SCSISense, ascq),
    STATE_END
};

static const StateField scsi_fields[] = {
    STATE_BOOL(SCSIDevice, saved_wce),
    STATE_STRUCT(SCSIDevice, attention, sense_fields),
    STATE_BOOL(SCSIDevice, tray_open),
    STATE_BOOL(SCSIDevice, locked),
    STATE_MAX(SCSIDevice, media_event, 0xf),
    STATE_END
};

static const StateDesc scsi_state = {
    .version = 1, .fields = scsi_fields, .pre_save = scsi_pre_save, .post_load = scsi_post_load,
};

#define SCSI_CLASS(_name, _desc, _props, _type) { \
    .dc = { \
        .oc = { \
            .name = (_name), \
            .desc = (_desc), \
            .instance_size = sizeof(SCSIDevice), \
            .props = (_props), \
        }, \
        .bus_type = SCSI_BUS, \
        .user_creatable = true, \
        .hotpluggable = true, \
        .realize = scsi_device_realize, \
        .unrealize = scsi_device_unrealize, \
        .reset = scsi_device_reset, \
        .state = MACHINE_STATE(&scsi_state), \
    }, \
    .type = (_type), \
}

static const SCSIDeviceClass scsi_hd_class =
    SCSI_CLASS("scsi-hd", "disk on a SCSI bus", scsi_hd_props, SCSI_TYPE_DISK);
DEFINE_CLASS(scsi_hd, &scsi_hd_class.dc.oc);

static const SCSIDeviceClass scsi_cd_class =
    SCSI_CLASS("scsi-cd", "CD drive on a SCSI bus", scsi_cd_props, SCSI_TYPE_CD);
DEFINE_CLASS(scsi_cd, &scsi_cd_class.dc.oc);
