/*
 * The virtio console device and its ports (virtio 1.2, section 5.3).
 *
 * virtio-serial-bus.c is the device: configuration space, control queues and the
 * numbers of ports. virtio-console.c is a port: it moves bytes between its two
 * queues and a chardev. All of it runs in the main loop, machine lock held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CHAR_VIRTIO_SERIAL_H
#define HW_CHAR_VIRTIO_SERIAL_H

#include "chardev/char.h"
#include "hw/core/event.h"
#include "hw/virtio/virtio.h"
#include "qemu/timer.h"

#define VIRTIO_SERIAL_BUS "virtio-serial-bus"
#define VIRTIO_SERIAL_MAX_PORTS 511
/* The nr= of a port that has no wish. */
#define VIRTIO_SERIAL_ANY_PORT UINT32_MAX

typedef struct VirtIOSerial VirtIOSerial;
typedef struct VirtIOSerialPort VirtIOSerialPort;

typedef struct VirtIOSerialPortClass {
    DeviceClass dc;
    bool is_console;            /* virtconsole: a terminal for hvcN, always open */
} VirtIOSerialPortClass;

struct VirtIOSerialPort {
    DeviceState dev;
    /* Properties. */
    uint32_t nr;                /* from realize on: the port's number */
    char *name;
    CharBackend chr;

    VirtIOSerial *vser;
    VirtQueue *rx, *tx;         /* to and from the guest */
    bool guest_connected;       /* a program in the guest has it open */
    bool told_connected;        /* what VSERPORT_CHANGE said last */
    EventLimit change_limit;
    QEMUTimer tell_timer;       /* more than enough of them: the next when it is over */
    bool host_connected;        /* so has the chardev's peer */
    uint16_t cols, rows;        /* of a console's terminal; 0: not known */
    /*
     * The guest's buffer that is going out, its written part cut off; with a
     * watch where the peer took less than all.
     */
    VirtQueueElement *elem;
    guint watch;
    bool saved_peer;            /* host_connected when the machine was saved */
    uint32_t sent;              /* of elem, by then */
    uint32_t skip;              /* bytes of the next element that went out before that */
};

/* What the driver has yet to be told about a port; sent lowest bit first. */
enum {
    PORT_MSG_REMOVE  = 1 << 0,
    PORT_MSG_ADD     = 1 << 1,
    PORT_MSG_CONSOLE = 1 << 2,
    PORT_MSG_NAME    = 1 << 3,
    PORT_MSG_CLOSE   = 1 << 4,
    PORT_MSG_OPEN    = 1 << 5,
    PORT_MSG_RESIZE  = 1 << 6,
};

/* A place for a port; it outlives the port that is plugged into it. */
typedef struct VirtIOSerialSlot {
    VirtIOSerialPort *port;     /* NULL: free */
    unsigned pending;           /* PORT_MSG_* */
    bool added;                 /* the driver was told of it */
    bool ready;                 /* and said that it can be used; one port: has used it */
} VirtIOSerialSlot;

struct VirtIOSerial {
    VirtIODevice vdev;
    BusState bus;
    /* Properties. */
    uint32_t max_ports;
    bool emergency_write;
    bool size;                  /* tell terminals' sizes */
    bool rows_first;            /* in resize messages, as old Linux reads them */

    VirtIOSerialSlot *slots;    /* max_ports of them */
    VirtQueue *ctrl_in;         /* to the guest; NULL with a single port */
    bool driver_ready;          /* the driver has sent DEVICE_READY */
};

/* virtio-serial-state.c; obj is a VirtIOSerial. */
extern const StateDesc virtio_serial_state;

static inline bool virtio_serial_port_is_console(const VirtIOSerialPort *port)
{
    return downcast(device_get_class(&port->dev), const VirtIOSerialPortClass, dc)->is_console;
}

/* The device, as its ports see it ------------------------------------------ */

/*
 * Give the port a number (its nr, or a free one) and its queues, and tell a
 * driver that runs. False with errp set when the number cannot be had.
 */
bool virtio_serial_plug(VirtIOSerial *s, VirtIOSerialPort *port, Error **errp);
void virtio_serial_unplug(VirtIOSerial *s, VirtIOSerialPort *port);
/* The peer came or went: port->host_connected is new. */
void virtio_serial_host_changed(VirtIOSerial *s, VirtIOSerialPort *port);
/* port->cols and rows are new. */
void virtio_serial_size_changed(VirtIOSerial *s, VirtIOSerialPort *port);
/* May the port's queues be used? Multiport drivers open ports first. */
bool virtio_serial_guest_ready(const VirtIOSerialPort *port);

/* A port, as the device sees it -------------------------------------------- */

/* The guest has sent something, or made room. */
void virtio_serial_port_tx(VirtIOSerialPort *port);
void virtio_serial_port_rx(VirtIOSerialPort *port);
/* A program in the guest opened or closed the port. */
void virtio_serial_port_set_guest_connected(VirtIOSerialPort *port, bool open);
/* Do not touch guest memory until tx is called again. */
void virtio_serial_port_pause(VirtIOSerialPort *port);
/* One byte for somebody who watches a crash; lost if the peer is slow. */
void virtio_serial_port_emergency(VirtIOSerialPort *port, uint8_t byte);

#endif
