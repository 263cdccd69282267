/*
 * Ports of the virtio console device: virtconsole and virtserialport.
 *
 * Nothing is buffered here. What the peer does not take stays in the guest's
 * buffer, and further buffers stay in the queue; what the guest has no room
 * for stays with the chardev, which is not read meanwhile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-serial.h"

#include "qemu/cutils.h"
#include "qemu/iov.h"

/*
 * Bytes copied at once. The copy keeps the chardevs, some of which look at bytes
 * twice, from seeing the guest change them.
 */
#define TX_CHUNK 4096
/* How much one call may send before other sources of the loop get their turn. */
#define TX_BUDGET (256 * 1024)
/* What an element costs at least: floods of small ones count as well. */
#define TX_ELEMENT_COST 64
/* Most that is taken from the chardev at once. */
#define RX_CHUNK 4096

/* From the guest ----------------------------------------------------------- */

static gboolean tx_writable(void *opaque, GIOCondition cond)
{
    VirtIOSerialPort *port = opaque;

    port->watch = 0;
    virtio_serial_port_tx(port);
    return G_SOURCE_REMOVE;
}

/* True when all of port->elem is out, or will not be wanted by anybody. */
static bool tx_element(VirtIOSerialPort *port, size_t *budget)
{
    VirtQueueElement *elem = port->elem;
    uint8_t buf[TX_CHUNK];

    if (!port->host_connected) {
        return true;
    }
    while (elem->out_num) {
        size_t len = iov_to_buf(elem->out_sg, elem->out_num, 0, buf, sizeof(buf));
        int n;

        if (!*budget) {
            virtio_queue_kick(port->tx);
            return false;
        }
        *budget -= MIN(*budget, len);
        n = qemu_chr_fe_write(&port->chr, buf, len);
        if (n == 0) {
            port->watch = qemu_chr_fe_add_watch(&port->chr, G_IO_OUT, tx_writable,
                                                port);
            if (port->watch) {
                return false;
            }
        }
        /* An error: these bytes cannot be delivered any more. */
        iov_discard_front(&elem->out_sg, &elem->out_num, n > 0 ? (size_t)n : len);
    }
    return true;
}

void virtio_serial_port_tx(VirtIOSerialPort *port)
{
    size_t budget = TX_BUDGET;
    bool pushed = false;

    if (port->watch || !virtio_queue_live(port->tx)) {
        return;
    }
    while (port->elem || (port->elem = virtqueue_pop(port->tx))) {
        if (port->elem->in_num) {
            virtio_error(&port->vser->vdev, "port %u: writable buffer in the "
                         "transmit queue", port->nr);
            virtqueue_detach(port->tx, port->elem);
            port->elem = NULL;
            break;
        }
        if (port->skip) {
            iov_discard_front(&port->elem->out_sg, &port->elem->out_num, port->skip);
            port->skip = 0;
        }
        if (!tx_element(port, &budget)) {
            break;
        }
        virtqueue_push(port->tx, port->elem, 0);
        port->elem = NULL;
        pushed = true;
        if (budget < TX_ELEMENT_COST) {
            virtio_queue_kick(port->tx);
            break;
        }
        budget -= TX_ELEMENT_COST;
    }
    if (pushed) {
        virtio_notify(port->tx);
    }
}

void virtio_serial_port_pause(VirtIOSerialPort *port)
{
    if (port->watch) {
        g_source_remove(port->watch);
        port->watch = 0;
    }
}

void virtio_serial_port_emergency(VirtIOSerialPort *port, uint8_t byte)
{
    qemu_chr_fe_write(&port->chr, &byte, 1);
}

/* Size --------------------------------------------------------------------- */

static void update_size(VirtIOSerialPort *port)
{
    uint16_t cols, rows;

    if (virtio_serial_port_is_console(port) &&
        qemu_chr_fe_get_size(&port->chr, &cols, &rows) &&
        (cols != port->cols || rows != port->rows)) {
        port->cols = cols;
        port->rows = rows;
        virtio_serial_size_changed(port->vser, port);
    }
}

/* To the guest ------------------------------------------------------------- */

/* A driver's buffer to fill; those that cannot be filled end the driver's luck. */
static VirtQueueElement *rx_pop(VirtIOSerialPort *port)
{
    VirtQueueElement *elem = virtqueue_pop(port->rx);

    if (elem && !elem->in_num) {
        virtio_error(&port->vser->vdev, "port %u: read-only buffer in the "
                     "receive queue", port->nr);
        virtqueue_detach(port->rx, elem);
        return NULL;
    }
    return elem;
}

static int port_can_read(void *opaque)
{
    VirtIOSerialPort *port = opaque;
    VirtQueueElement *elem;
    size_t room;

    if (!virtio_serial_guest_ready(port)) {
        return 0;
    }
    elem = rx_pop(port);
    if (!elem) {
        return 0;
    }
    room = elem->in_len;
    virtqueue_unpop(port->rx, elem);
    return MIN(room, RX_CHUNK);
}

static void port_read(void *opaque, const uint8_t *buf, int size)
{
    VirtIOSerialPort *port = opaque;
    size_t left = size;
    VirtQueueElement *elem;

    /* Some terminals do not tell; who types sees the new size. */
    update_size(port);
    /* More than one only if the guest has changed its descriptors since. */
    while (left && (elem = rx_pop(port))) {
        size_t n = iov_from_buf(elem->in_sg, elem->in_num, 0, buf, left);

        virtqueue_push(port->rx, elem, n);
        buf += n;
        left -= n;
    }
    virtio_notify(port->rx);
}

void virtio_serial_port_rx(VirtIOSerialPort *port)
{
    qemu_chr_fe_accept_input(&port->chr);
}

/* Open and closed ---------------------------------------------------------- */

static void send_change(VirtIOSerialPort *port)
{
    EventField fields[] = {
        EVENT_STR("id", port->dev.obj.id), EVENT_BOOL("open", port->guest_connected),
    };

    port->told_connected = port->guest_connected;
    machine_event(port->dev.machine, "VSERPORT_CHANGE", fields, G_N_ELEMENTS(fields));
}

/* What is too much for a second waits for its end, and then counts once. */
static void tell_connected(VirtIOSerialPort *port)
{
    if (!port->dev.obj.id) {
        return;
    }
    if (event_limit_allows(&port->change_limit)) {
        send_change(port);
    } else {
        timer_mod_ns(&port->tell_timer, port->change_limit.since + NANOSECONDS_PER_SECOND);
    }
}

static void tell_late(void *opaque)
{
    VirtIOSerialPort *port = opaque;

    if (port->told_connected != port->guest_connected) {
        tell_connected(port);
    }
}

void virtio_serial_port_set_guest_connected(VirtIOSerialPort *port, bool open)
{
    if (port->guest_connected == open) {
        return;
    }
    port->guest_connected = open;
    if (!virtio_serial_port_is_console(port)) {
        qemu_chr_fe_set_open(&port->chr, open);
    }
    tell_connected(port);
    if (open) {
        qemu_chr_fe_accept_input(&port->chr);
    }
}

static void port_event(void *opaque, QEMUChrEvent event)
{
    VirtIOSerialPort *port = opaque;
    bool open = event == CHR_EVENT_OPENED;

    if (open || event == CHR_EVENT_RESIZE) {
        update_size(port);
    }
    /* A console is there whether somebody looks at it or not. */
    if (virtio_serial_port_is_console(port) ||
        (event != CHR_EVENT_OPENED && event != CHR_EVENT_CLOSED) ||
        port->host_connected == open) {
        return;
    }
    port->host_connected = open;
    virtio_serial_host_changed(port->vser, port);
}

/* Device ------------------------------------------------------------------- */

static bool port_realize(DeviceState *dev, Error **errp)
{
    VirtIOSerialPort *port = downcast(dev, VirtIOSerialPort, dev);
    bool is_console = virtio_serial_port_is_console(port);

    timer_init_ns(&port->tell_timer, QEMU_CLOCK_REALTIME, tell_late, port);
    port->host_connected = is_console;
    if (!virtio_serial_plug(container_of(dev->parent_bus, VirtIOSerial, bus), port,
                            errp)) {
        return false;
    }
    qemu_chr_fe_set_handlers(&port->chr, port_can_read, port_read, port_event, port);
    if (!is_console) {
        qemu_chr_fe_set_open(&port->chr, false);
    }
    return true;
}

static void port_unrealize(DeviceState *dev)
{
    VirtIOSerialPort *port = downcast(dev, VirtIOSerialPort, dev);

    qemu_chr_fe_set_handlers(&port->chr, NULL, NULL, NULL, NULL);
    virtio_serial_port_pause(port);
    if (port->elem) {
        virtqueue_push(port->tx, port->elem, 0);
        virtio_notify(port->tx);
        port->elem = NULL;
    }
    virtio_serial_unplug(port->vser, port);
    timer_del(&port->tell_timer);
    if (port->told_connected) {
        send_change(port);
    }
}

STATE_NOT(VirtIOSerialPort, vser, "the bus's");
STATE_NOT(VirtIOSerialPort, rx, "the core's");
STATE_NOT(VirtIOSerialPort, tx, "the core's");
STATE_NOT(VirtIOSerialPort, told_connected, "of events for the host's clients");
STATE_NOT(VirtIOSerialPort, change_limit, "of events for the host's clients");
STATE_NOT(VirtIOSerialPort, tell_timer, "of events for the host's clients");
STATE_NOT(VirtIOSerialPort, host_connected, "the peer's: a change is told");
STATE_NOT(VirtIOSerialPort, elem, "in flight: taken again");
STATE_NOT(VirtIOSerialPort, watch, "the host's");
STATE_NOT(VirtIOSerialPort, skip, "saved as sent");

static void port_pre_save(void *obj)
{
    VirtIOSerialPort *port = obj;
    const VirtQueueElement *elem = port->elem;

    port->saved_peer = port->host_connected;
    port->sent = elem ? elem->out_len - iov_size(elem->out_sg, elem->out_num) : port->skip;
}

/* The peer is another one: who is there now is told when the machine goes on. */
static bool port_post_load(void *obj, Error **errp)
{
    VirtIOSerialPort *port = obj;
    bool open = port->guest_connected;

    port->skip = port->sent;
    port->guest_connected = false;
    virtio_serial_port_set_guest_connected(port, open);
    if (port->saved_peer != port->host_connected) {
        virtio_serial_host_changed(port->vser, port);
    }
    return true;
}

static const StateField port_fields[] = {
    STATE_BOOL(VirtIOSerialPort, guest_connected),
    STATE_BOOL(VirtIOSerialPort, saved_peer),
    STATE_INT(VirtIOSerialPort, sent),
    STATE_INT(VirtIOSerialPort, cols),
    STATE_INT(VirtIOSerialPort, rows),
    STATE_END
};

static const StateDesc port_state = {
    .version = 1, .fields = port_fields, .pre_save = port_pre_save, .post_load = port_post_load,
};

static const Property port_props[] = {
    DEFINE_PROP_CHR("chardev", VirtIOSerialPort, chr),
    DEFINE_PROP_STRING("name", VirtIOSerialPort, name, NULL,
                       "what programs in the guest find the port by"),
    DEFINE_PROP_UINT32("nr", VirtIOSerialPort, nr, "4294967295",
                       "number of the port; the default takes a free one"),
    DEFINE_PROP_END
};

static const ObjectClass port_base_class = {
    .name = "virtio-serial-port",
    .instance_size = sizeof(VirtIOSerialPort),
    .props = port_props,
};

#define PORT_CLASS(_name, _desc, _is_console) { \
        .dc = { \
            .oc = { \
                .name = (_name), \
                .desc = (_desc), \
                .parent = &port_base_class, \
                .instance_size = sizeof(VirtIOSerialPort), \
            }, \
            .bus_type = VIRTIO_SERIAL_BUS, \
            .user_creatable = true, \
            .hotpluggable = true, \
            .realize = port_realize, \
            .unrealize = port_unrealize, \
            .state = MACHINE_STATE(&port_state), \
        }, \
        .is_console = (_is_console), \
    }

static const VirtIOSerialPortClass virtconsole_class =
    PORT_CLASS("virtconsole", "console port of a virtio-serial device", true);
DEFINE_CLASS(virtconsole, &virtconsole_class.dc.oc);

static const VirtIOSerialPortClass virtserialport_class =
    PORT_CLASS("virtserialport", "port of a virtio-serial device", false);
DEFINE_CLASS(virtserialport, &virtserialport_class.dc.oc);
