/*
 * The virtio console device: configuration space, control queues, places for
 * ports (virtio 1.2, section 5.3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-serial.h"

#include <linux/virtio_console.h>
#include <string.h>

#include "hw/boards.h"
#include "qemu/iov.h"
#include "qemu/log.h"
#include "qemu/trace.h"

#define PORT_QUEUE_SIZE 128
#define CTRL_QUEUE_SIZE 32
/* Queues 2 and 3 stand between those of port 0 and those of port 1. */
#define CTRL_IN_QUEUE 2

/* The driver's messages are this long; what it sends beyond that is not read. */
typedef struct virtio_console_control ControlMsg;

static void guest_error(VirtIOSerial *s, const char *what, unsigned n)
{
    qemu_log_mask(LOG_GUEST_ERROR, "%s: %s %u\n", qdev_name(&s->vdev.dev), what, n);
}

static bool use_multiport(const VirtIOSerial *s)
{
    return virtio_has_feature(&s->vdev, VIRTIO_CONSOLE_F_MULTIPORT);
}

static unsigned port_queue(uint32_t nr)
{
    return nr ? 2 * nr + 2 : 0;
}

/* The place whose queue this is. */
static VirtIOSerialSlot *slot_of_queue(VirtIOSerial *s, const VirtQueue *vq)
{
    unsigned pair = virtio_queue_index(vq) / 2;

    return &s->slots[pair ? pair - 1 : 0];
}

bool virtio_serial_guest_ready(const VirtIOSerialPort *port)
{
    return virtio_queue_live(port->rx) &&
           (port->guest_connected || !use_multiport(port->vser));
}

/* Messages to the driver --------------------------------------------------- */

/* The message, and what follows it: a name (len bytes at *more), or the size in buf. */
static size_t make_message(VirtIOSerial *s, uint32_t nr, unsigned what,
                           ControlMsg *msg, const void **more, uint16_t buf[2])
{
    VirtIOSerialSlot *slot = &s->slots[nr];

    *msg = (ControlMsg) { .id = nr, .value = 1 };
    *more = buf;
    switch (what) {
    case PORT_MSG_REMOVE:
        msg->event = VIRTIO_CONSOLE_PORT_REMOVE;
        slot->added = false;
        break;
    case PORT_MSG_ADD:
        msg->event = VIRTIO_CONSOLE_PORT_ADD;
        slot->added = true;
        break;
    case PORT_MSG_CONSOLE:
        msg->event = VIRTIO_CONSOLE_CONSOLE_PORT;
        break;
    case PORT_MSG_NAME:
        msg->event = VIRTIO_CONSOLE_PORT_NAME;
        *more = slot->port->name;
        return strlen(slot->port->name);
    case PORT_MSG_RESIZE:
        msg->event = VIRTIO_CONSOLE_RESIZE;
        buf[s->rows_first] = slot->port->cols;
        buf[!s->rows_first] = slot->port->rows;
        return 2 * sizeof(buf[0]);
    case PORT_MSG_CLOSE:
    case PORT_MSG_OPEN:
        msg->event = VIRTIO_CONSOLE_PORT_OPEN;
        msg->value = what == PORT_MSG_OPEN;
        break;
    }
    return 0;
}

/* False when the driver has no (fit) buffer for it. */
static bool send_message(VirtIOSerial *s, uint32_t nr, unsigned what)
{
    VirtQueueElement *elem = virtqueue_pop(s->ctrl_in);
    ControlMsg msg;
    const void *more;
    uint16_t buf[2];
    size_t len;

    if (!elem) {
        return false;
    }
    if (elem->in_len < sizeof(msg)) {
        virtio_error(&s->vdev, "control buffer of %zu bytes", elem->in_len);
        virtqueue_detach(s->ctrl_in, elem);
        return false;
    }
    len = make_message(s, nr, what, &msg, &more, buf);
    trace(virtio_serial_send_control_event, "port %u event %u value %u", nr, msg.event, msg.value);
    iov_from_buf(elem->in_sg, elem->in_num, 0, &msg, sizeof(msg));
    /* A name that is longer than the buffer loses its end. */
    len = iov_from_buf(elem->in_sg, elem->in_num, sizeof(msg), more, len);
    virtqueue_push(s->ctrl_in, elem, sizeof(msg) + len);
    return true;
}

/*
 * Say what there is to say while the driver has buffers. The rest waits as bits,
 * so that a driver that gives none costs nothing.
 */
static void flush_messages(VirtIOSerial *s)
{
    bool sent = false;

    if (!s->ctrl_in || !use_multiport(s)) {
        return;
    }
    for (uint32_t nr = 0; nr < s->max_ports; nr++) {
        VirtIOSerialSlot *slot = &s->slots[nr];

        while (slot->pending) {
            unsigned what = slot->pending & -slot->pending;

            if (!send_message(s, nr, what)) {
                goto out;
            }
            slot->pending &= ~what;
            sent = true;
        }
    }
out:
    if (sent) {
        virtio_notify(s->ctrl_in);
    }
}

static void handle_ctrl_in(VirtIODevice *vdev, VirtQueue *vq)
{
    flush_messages(downcast(vdev, VirtIOSerial, vdev));
}

void virtio_serial_host_changed(VirtIOSerial *s, VirtIOSerialPort *port)
{
    VirtIOSerialSlot *slot = &s->slots[port->nr];

    if (port->host_connected) {
        /* After a CLOSE that waits: programs must see that the peer is new. */
        slot->pending |= slot->ready ? PORT_MSG_OPEN : 0;
    } else {
        slot->pending &= ~PORT_MSG_OPEN;
        slot->pending |= slot->ready ? PORT_MSG_CLOSE : 0;
    }
    flush_messages(s);
    if (!port->host_connected && virtio_queue_live(port->tx)) {
        /* What waits for the peer that went is for nobody. */
        virtio_queue_kick(port->tx);
    }
}

static bool has_size(const VirtIOSerial *s, const VirtIOSerialPort *port)
{
    return port->cols && virtio_has_feature(&s->vdev, VIRTIO_CONSOLE_F_SIZE);
}

/* Drivers with many ports get messages; others look at the configuration space. */
void virtio_serial_size_changed(VirtIOSerial *s, VirtIOSerialPort *port)
{
    VirtIOSerialSlot *slot = &s->slots[port->nr];

    if (port->nr == 0) {    /* whoever reads the two numbers now must notice */
        virtio_config_changed(&s->vdev);
    }
    if (!has_size(s, port) || !slot->ready) {
        return;
    }
    if (use_multiport(s)) {
        slot->pending |= PORT_MSG_RESIZE;
        flush_messages(s);
    } else {
        virtio_notify_config(&s->vdev);
    }
}

/* Messages from the driver ------------------------------------------------- */

static void announce(VirtIOSerialSlot *slot)
{
    if (slot->port && !slot->added) {
        slot->pending |= PORT_MSG_ADD;
    }
}

static void driver_is_ready(VirtIOSerial *s, bool ok)
{
    if (!ok) {
        guest_error(s, "the driver failed to set up the device, value", 0);
        return;
    }
    s->driver_ready = true;
    for (uint32_t nr = 0; nr < s->max_ports; nr++) {
        announce(&s->slots[nr]);
    }
}

static void port_is_ready(VirtIOSerial *s, VirtIOSerialSlot *slot, bool ok)
{
    VirtIOSerialPort *port = slot->port;

    if (!ok) {
        guest_error(s, "the driver failed to add port", port->nr);
        return;
    }
    slot->ready = true;
    slot->pending |= (virtio_serial_port_is_console(port) ? PORT_MSG_CONSOLE : 0) |
                     (port->name ? PORT_MSG_NAME : 0) |
                     (has_size(s, port) ? PORT_MSG_RESIZE : 0) |
                     (port->host_connected ? PORT_MSG_OPEN : 0);
}

static void handle_message(VirtIOSerial *s, const ControlMsg *msg)
{
    VirtIOSerialSlot *slot;

    trace(virtio_serial_handle_control_message, "port %u event %u value %u", msg->id, msg->event,
          msg->value);
    if (msg->event == VIRTIO_CONSOLE_DEVICE_READY) {
        driver_is_ready(s, msg->value);
        return;
    }
    slot = msg->id < s->max_ports ? &s->slots[msg->id] : NULL;
    /* Not a place, nothing there, or a port that the driver does not know yet. */
    if (!slot || !slot->port || !slot->added || (slot->pending & PORT_MSG_REMOVE)) {
        guest_error(s, "control message for port", msg->id);
        return;
    }
    switch (msg->event) {
    case VIRTIO_CONSOLE_PORT_READY:
        port_is_ready(s, slot, msg->value);
        break;
    case VIRTIO_CONSOLE_PORT_OPEN:
        virtio_serial_port_set_guest_connected(slot->port, msg->value);
        break;
    default:
        guest_error(s, "unknown control event", msg->event);
        break;
    }
}

/* Elements for one call: a driver that never stops must not keep the loop. */
static void handle_ctrl_out(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOSerial *s = downcast(vdev, VirtIOSerial, vdev);
    VirtQueueElement *elem = NULL;

    for (unsigned n = 0; n < CTRL_QUEUE_SIZE && (elem = virtqueue_pop(vq)); n++) {
        ControlMsg msg;

        if (!use_multiport(s) ||
            iov_to_buf(elem->out_sg, elem->out_num, 0, &msg, sizeof(msg)) < sizeof(msg)) {
            guest_error(s, "control message without meaning, bytes:", elem->out_len);
        } else {
            handle_message(s, &msg);
        }
        virtqueue_push(vq, elem, 0);
    }
    virtio_notify(vq);
    flush_messages(s);
    if (elem) {
        virtio_queue_kick(vq);
    }
}

/* Queues of ports ---------------------------------------------------------- */

/* Nobody is there: take the buffers off the driver's hands. */
static void discard(VirtQueue *vq)
{
    VirtQueueElement *elem = NULL;

    for (unsigned n = 0; n < PORT_QUEUE_SIZE && (elem = virtqueue_pop(vq)); n++) {
        virtqueue_push(vq, elem, 0);
    }
    virtio_notify(vq);
    if (elem) {
        virtio_queue_kick(vq);
    }
}

static void handle_tx(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOSerial *s = downcast(vdev, VirtIOSerial, vdev);
    VirtIOSerialSlot *slot = slot_of_queue(s, vq);

    if (slot->port && !slot->ready && !use_multiport(s) && !virtio_queue_empty(vq)) {
        /* The console works: now its driver looks at what changes. */
        slot->ready = true;
        virtio_serial_size_changed(s, slot->port);
    }
    if (slot->port) {
        virtio_serial_port_tx(slot->port);
    } else {
        discard(vq);
    }
}

/* Where no port is, buffers stay for one that may come. */
static void handle_rx(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOSerialSlot *slot = slot_of_queue(downcast(vdev, VirtIOSerial, vdev), vq);

    if (slot->port) {
        virtio_serial_port_rx(slot->port);
    }
}

/* Ports come and go -------------------------------------------------------- */

/* Port 0 is for a console: drivers without multiport know no other. */
static bool choose_number(VirtIOSerial *s, VirtIOSerialPort *port, Error **errp)
{
    bool is_console = virtio_serial_port_is_console(port);
    uint32_t nr = port->nr;

    if (nr == VIRTIO_SERIAL_ANY_PORT) {
        nr = is_console ? 0 : 1;
        while (nr < s->max_ports && s->slots[nr].port) {
            nr++;
        }
        if (nr == s->max_ports) {
            error_setg(errp, "virtio-serial-bus: Maximum port limit for this device reached");
            return false;
        }
    }
    if (nr == 0 && !is_console) {
        error_setg(errp, "Port number 0 on virtio-serial devices reserved for virtconsole "
                   "devices for backward compatibility.");
        return false;
    }
    if (nr >= s->max_ports) {
        error_setg(errp, "virtio-serial-bus: Out-of-range port id specified, max. "
                   "allowed: %u", s->max_ports - 1);
        return false;
    }
    if (s->slots[nr].port) {
        error_setg(errp, "virtio-serial-bus: A port already exists at id %u", nr);
        return false;
    }
    port->nr = nr;
    return true;
}

static bool name_is_free(VirtIOSerial *s, const char *name, Error **errp)
{
    for (uint32_t nr = 0; name && nr < s->max_ports; nr++) {
        const VirtIOSerialPort *other = s->slots[nr].port;

        if (other && other->name && !strcmp(other->name, name)) {
            error_setg(errp, "virtio-serial-bus: A port already exists by name %s", name);
            return false;
        }
    }
    return true;
}

bool virtio_serial_plug(VirtIOSerial *s, VirtIOSerialPort *port, Error **errp)
{
    if (!name_is_free(s, port->name, errp) || !choose_number(s, port, errp)) {
        return false;
    }
    port->vser = s;
    port->rx = virtio_get_queue(&s->vdev, port_queue(port->nr));
    port->tx = virtio_get_queue(&s->vdev, port_queue(port->nr) + 1);
    s->slots[port->nr].port = port;
    if (s->driver_ready) {
        s->slots[port->nr].pending |= PORT_MSG_ADD;
        flush_messages(s);
    }
    return true;
}

void virtio_serial_unplug(VirtIOSerial *s, VirtIOSerialPort *port)
{
    VirtIOSerialSlot *slot = &s->slots[port->nr];

    virtio_serial_port_set_guest_connected(port, false);
    slot->port = NULL;
    slot->ready = false;
    slot->pending = slot->added ? PORT_MSG_REMOVE : 0;
    flush_messages(s);
}

/* Configuration space ------------------------------------------------------ */

static void serial_get_config(VirtIODevice *vdev, void *config)
{
    VirtIOSerial *s = downcast(vdev, VirtIOSerial, vdev);
    struct virtio_console_config *c = config;

    c->max_nr_ports = s->max_ports;
    if (s->slots[0].port) {
        c->cols = s->slots[0].port->cols;
        c->rows = s->slots[0].port->rows;
    }
}

/* Works from power-on: for kernels that die before they have a driver. */
static void serial_set_config(VirtIODevice *vdev, unsigned offset,
                              const void *data, unsigned len)
{
    VirtIOSerial *s = downcast(vdev, VirtIOSerial, vdev);

    if (s->emergency_write && s->slots[0].port &&
        offset == offsetof(struct virtio_console_config, emerg_wr)) {
        virtio_serial_port_emergency(s->slots[0].port, *(const uint8_t *)data);
    }
}

static uint64_t serial_get_features(VirtIODevice *vdev, bool modern)
{
    VirtIOSerial *s = downcast(vdev, VirtIOSerial, vdev);

    return (s->max_ports > 1 ? 1ull << VIRTIO_CONSOLE_F_MULTIPORT : 0) |
           (s->size ? 1ull << VIRTIO_CONSOLE_F_SIZE : 0) |
           (s->emergency_write ? 1ull << VIRTIO_CONSOLE_F_EMERG_WRITE : 0);
}

/* Life --------------------------------------------------------------------- */

static void serial_stop(VirtIODevice *vdev)
{
    VirtIOSerial *s = downcast(vdev, VirtIOSerial, vdev);

    for (uint32_t nr = 0; nr < s->max_ports; nr++) {
        if (s->slots[nr].port) {
            virtio_serial_port_pause(s->slots[nr].port);
        }
    }
}

static void serial_reset(VirtIODevice *vdev)
{
    VirtIOSerial *s = downcast(vdev, VirtIOSerial, vdev);

    s->driver_ready = false;
    for (uint32_t nr = 0; nr < s->max_ports; nr++) {
        VirtIOSerialSlot *slot = &s->slots[nr];

        slot->pending = 0;
        slot->added = slot->ready = false;
        if (slot->port) {
            slot->port->elem = NULL;
            virtio_serial_port_set_guest_connected(slot->port, false);
        }
    }
}

static void serial_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOSerial *s = downcast(vdev, VirtIOSerial, vdev);
    VirtIOSerialPort *port = slot_of_queue(s, vq)->port;

    if (port && port->tx == vq) {
        port->elem = NULL;
    }
}

static void add_queues(VirtIOSerial *s)
{
    for (uint32_t nr = 0; nr < s->max_ports; nr++) {
        virtio_add_queue(&s->vdev, PORT_QUEUE_SIZE, sizeof(VirtQueueElement), handle_rx);
        virtio_add_queue(&s->vdev, PORT_QUEUE_SIZE, sizeof(VirtQueueElement), handle_tx);
        if (nr == 0 && s->max_ports > 1) {
            s->ctrl_in = virtio_add_queue(&s->vdev, CTRL_QUEUE_SIZE,
                                          sizeof(VirtQueueElement), handle_ctrl_in);
            virtio_add_queue(&s->vdev, CTRL_QUEUE_SIZE, sizeof(VirtQueueElement),
                             handle_ctrl_out);
        }
    }
}

static bool serial_realize(VirtIODevice *vdev, Error **errp)
{
    VirtIOSerial *s = downcast(vdev, VirtIOSerial, vdev);
    g_autofree char *name = qbus_new_name(&vdev->dev, VIRTIO_SERIAL_BUS, VIRTIO_SERIAL_BUS);

    if (!s->max_ports) {
        error_setg(errp, "Maximum number of serial ports not specified");
        return false;
    }
    if (s->max_ports > VIRTIO_SERIAL_MAX_PORTS) {
        error_setg(errp, "maximum ports supported: %u", VIRTIO_SERIAL_MAX_PORTS);
        return false;
    }
    vdev->config_len = sizeof(struct virtio_console_config);
    s->slots = g_new0(VirtIOSerialSlot, s->max_ports);
    add_queues(s);
    qbus_init(&s->bus, VIRTIO_SERIAL_BUS, name, &vdev->dev, vdev->dev.machine);
    s->bus.max_dev = s->max_ports;
    s->bus.hotpluggable = true;
    return true;
}

/* The ports on the bus are gone already: they were realized after it. */
static void serial_unrealize(VirtIODevice *vdev)
{
    VirtIOSerial *s = downcast(vdev, VirtIOSerial, vdev);

    qbus_cleanup(&s->bus);
    g_clear_pointer(&s->slots, g_free);
}

static const Property serial_props[] = {
    DEFINE_PROP_UINT32("max_ports", VirtIOSerial, max_ports, "31",
                       "how many ports it has places for"),
    DEFINE_PROP_BOOL("emergency-write", VirtIOSerial, emergency_write, "on",
                     "offer output by the configuration space"),
    DEFINE_PROP_BOOL("console-size", VirtIOSerial, size, "on",
                     "tell the driver how large a console's terminal is"),
    DEFINE_PROP_BOOL("console-size-rows-first", VirtIOSerial, rows_first, "off",
                     "rows before columns in messages about that: Linux before 6.16"),
    DEFINE_PROP_END
};

static const VirtioDeviceClass virtio_serial_class = {
    .dc = {
        .oc = {
            .name = "virtio-serial-device",
            .alias = "virtio-serial",
            .desc = "virtio console device, a bus of ports",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VirtIOSerial),
            .props = serial_props,
        },
        VIRTIO_DEVICE_HOOKS,
        .state = MACHINE_STATE(&virtio_serial_state),
    },
    .device_id = VIRTIO_ID_CONSOLE,
    .in_order = true,
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .get_features = serial_get_features,
    .get_config = serial_get_config,
    .set_config = serial_set_config,
    .stop = serial_stop,
    .reset = serial_reset,
    .queue_reset = serial_queue_reset,
};
DEFINE_CLASS(virtio_serial, &virtio_serial_class.dc.oc);
