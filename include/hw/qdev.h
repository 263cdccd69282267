/*
 * Devices and buses.
 *
 * A device is made (qdev_new), its properties are set, then it is realized on
 * a bus. A machine's devices are reset in the order they were realized.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_QDEV_H
#define HW_QDEV_H

#include "hw/core/state.h"
#include "qemu/object.h"

typedef struct Aml Aml;
typedef struct DeviceClass DeviceClass;
typedef struct DeviceState DeviceState;
typedef struct BusState BusState;
typedef struct MachineState MachineState;

struct DeviceClass {
    ObjectClass oc;
    const char *bus_type;       /* the bus it sits on; NULL: made by the board */
    bool user_creatable;        /* may be named by -device */
    bool hotpluggable;          /* may come and go while the machine runs */
    /*
     * Check the properties, take resources, map registers. On failure undo
     * everything and return false with errp set.
     */
    bool (*realize)(DeviceState *dev, Error **errp);
    void (*unrealize)(DeviceState *dev);    /* may be NULL */
    void (*reset)(DeviceState *dev);        /* power-on state; may be NULL */
    /*
     * Append what the guest's ACPI tables say of the device to \_SB of the DSDT
     * (hw/acpi/aml.h), or nothing. After all are realized; may be NULL.
     */
    void (*build_aml)(DeviceState *dev, Aml *aml);
    /*
     * What of the device a saved machine holds, by MACHINE_STATE(). NULL: it cannot be saved,
     * and the machine neither.
     */
    const StateDesc *state;
};

/* First member of every device. */
struct DeviceState {
    Object obj;
    MachineState *machine;      /* set by qdev_realize() */
    BusState *parent_bus;       /* NULL: on no bus */
    bool realized;
    bool hotplugged;           /* came while the machine ran */
    GPtrArray *child_buses;     /* of BusState, the device's own; may be NULL */
};

struct BusState {
    const char *type;           /* "virtio-bus", "isa-bus", … */
    char *name;                 /* "virtio-mmio-bus.0"; owned */
    DeviceState *parent;        /* NULL: the machine's own bus */
    MachineState *machine;
    unsigned max_dev;           /* 0: any number */
    bool hotpluggable;
    GPtrArray *children;        /* of DeviceState */
};

static inline const DeviceClass *device_get_class(const DeviceState *dev)
{
    return downcast(dev->obj.oc, const DeviceClass, oc);
}

/* A device with default properties; id may be NULL. Not yet realized. */
DeviceState *qdev_new(const DeviceClass *dc, const char *id);

/*
 * Realize dev on bus (NULL for board devices) and add it to the machine, which
 * then owns it. On failure dev stays the caller's (object_free it).
 */
bool qdev_realize(DeviceState *dev, MachineState *ms, BusState *bus,
                  Error **errp);
/* Take dev off its bus and the machine, and free it. */
void qdev_unrealize(DeviceState *dev);

/* Register a bus with the machine; name is copied. */
void qbus_init(BusState *bus, const char *type, const char *name,
               DeviceState *parent, MachineState *ms);
void qbus_cleanup(BusState *bus);
/* For a device's only bus: "ID.0", or "STEM.N", the Nth of the type without an id. Caller frees. */
char *qbus_new_name(const DeviceState *parent, const char *type, const char *stem);
/*
 * A bus for a device that wants type: the one called name, or with a NULL name
 * the first with a free slot. NULL with errp set if there is none.
 */
BusState *qbus_find(MachineState *ms, const char *type, const char *name,
                    const char *driver, Error **errp);

/* The device with this id, or NULL. */
DeviceState *qdev_find(MachineState *ms, const char *id);
/* The first device of the class called name, or NULL. */
DeviceState *qdev_find_class(const MachineState *ms, const char *name);

/*
 * -device: opts holds "driver" and the properties. Finds the class and the bus
 * and realizes. NULL with errp set on failure. Works after start for hot-pluggable
 * classes.
 */
DeviceState *qdev_device_add(MachineState *ms, QemuOpts *opts, Error **errp);

/*
 * The end of a message about a device that is not here: ": why not, or what to use instead",
 * or "". Caller frees.
 */
char *qdev_why_not(const char *name);

/* Reset every realized device, in order. */
void qdev_reset_all(MachineState *ms);

/* Where dev is in the property tree, caller frees. */
char *qdev_get_path(const DeviceState *dev);
/* The last component of "what is this called", for messages: id or class. */
const char *qdev_name(const DeviceState *dev);

#endif
