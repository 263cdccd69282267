/*
 * Virtio keyboard, mouse and tablet (virtio 1.2, section 5.8).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtio.h"

#include <linux/input.h>
#include <linux/virtio_input.h>
#include <string.h>

#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "qemu/trace.h"
#include "sysemu/input.h"

#define EVENT_QUEUE     0
#define STATUS_QUEUE    1
#define QUEUE_SIZE      64
#define VENDOR          0x0627

typedef struct virtio_input_event VirtIOInputEvent;
typedef struct virtio_input_config VirtIOInputConfig;

/* What the three devices differ in. */
typedef struct VirtIOInputModel {
    const char *name;
    uint16_t product, version;
    uint16_t kinds;             /* bits 1 << INPUT_* */
} VirtIOInputModel;

typedef struct VirtIOInput {
    VirtIODevice vdev;
    const VirtIOInputModel *model;
    /* Properties. */
    char *serial;
    bool wheel_axis;

    InputHandler handler;
    uint8_t select, subsel;     /* what configuration space shows */
    /* A report that is not yet complete; its end has always room. */
    VirtIOInputEvent report[QUEUE_SIZE];
    unsigned count;
} VirtIOInput;

/* Codes (linux/input-event-codes.h) --------------------------------------------- */

static const uint16_t button_codes[INPUT_BUTTONS] = {
    [INPUT_LEFT] = BTN_LEFT, [INPUT_MIDDLE] = BTN_MIDDLE, [INPUT_RIGHT] = BTN_RIGHT,
    [INPUT_WHEEL_UP] = BTN_GEAR_UP, [INPUT_WHEEL_DOWN] = BTN_GEAR_DOWN,
    [INPUT_SIDE] = BTN_SIDE, [INPUT_EXTRA] = BTN_EXTRA,
};

/* A step of a wheel as a movement: 0 if the button is none of a wheel. */
static int wheel_step(InputButton button, uint16_t *axis)
{
    *axis = button == INPUT_WHEEL_LEFT || button == INPUT_WHEEL_RIGHT ? REL_HWHEEL : REL_WHEEL;
    switch (button) {
    case INPUT_WHEEL_UP:
    case INPUT_WHEEL_RIGHT:
        return 1;
    case INPUT_WHEEL_DOWN:
    case INPUT_WHEEL_LEFT:
        return -1;
    default:
        return 0;
    }
}

/* Configuration space ----------------------------------------------------------- */

static void set_bit(uint8_t *bitmap, unsigned bit)
{
    bitmap[bit / 8] |= 1u << bit % 8;
}

static void fill_key_bits(const VirtIOInput *s, uint8_t *bitmap)
{
    if (s->model->kinds & 1u << INPUT_KEY) {
        for (const InputKey *key = input_keys; key->name; key++) {
            set_bit(bitmap, key->code);
        }
    }
    for (unsigned i = 0; i < INPUT_BUTTONS && s->model->kinds & 1u << INPUT_BTN; i++) {
        if (button_codes[i]) {
            set_bit(bitmap, button_codes[i]);
        }
    }
}

static void fill_rel_bits(const VirtIOInput *s, uint8_t *bitmap)
{
    if (s->model->kinds & 1u << INPUT_REL) {
        set_bit(bitmap, REL_X);
        set_bit(bitmap, REL_Y);
    }
    if (s->wheel_axis) {
        set_bit(bitmap, REL_WHEEL);
        set_bit(bitmap, REL_HWHEEL);
    }
}

/* The codes that events of the type can have; true: none, but there is the type. */
static bool fill_event_bits(const VirtIOInput *s, unsigned type, uint8_t *bitmap)
{
    bool keyboard = s->model->kinds & 1u << INPUT_KEY;

    switch (type) {
    case EV_KEY:
        fill_key_bits(s, bitmap);
        break;
    case EV_REL:
        fill_rel_bits(s, bitmap);
        break;
    case EV_ABS:
        bitmap[0] = s->model->kinds & 1u << INPUT_ABS ? 1u << ABS_X | 1u << ABS_Y : 0;
        break;
    case EV_LED:
        bitmap[0] = keyboard ? 1u << LED_NUML | 1u << LED_CAPSL | 1u << LED_SCROLLL : 0;
        break;
    case EV_REP:
        return keyboard;
    }
    return false;
}

static unsigned fill_bits(const VirtIOInput *s, VirtIOInputConfig *config)
{
    unsigned size = sizeof(config->u.bitmap);
    bool empty_type = fill_event_bits(s, s->subsel, config->u.bitmap);

    while (size > 0 && !config->u.bitmap[size - 1]) {
        size--;
    }
    return size ? size : empty_type;
}

static unsigned fill_string(VirtIOInputConfig *config, const char *text)
{
    size_t len = text ? MIN(strlen(text), sizeof(config->u.string)) : 0;

    memcpy(config->u.string, text, len);
    return len;
}

static unsigned fill_selected(const VirtIOInput *s, VirtIOInputConfig *config)
{
    switch (s->select) {
    case VIRTIO_INPUT_CFG_ID_NAME:
        return s->subsel ? 0 : fill_string(config, s->model->name);
    case VIRTIO_INPUT_CFG_ID_SERIAL:
        return s->subsel || !s->serial ? 0 : fill_string(config, s->serial);
    case VIRTIO_INPUT_CFG_ID_DEVIDS:
        if (s->subsel) {
            return 0;
        }
        config->u.ids = (struct virtio_input_devids) {
            .bustype = BUS_VIRTUAL,
            .vendor = VENDOR,
            .product = s->model->product,
            .version = s->model->version + s->wheel_axis,
        };
        return sizeof(config->u.ids);
    case VIRTIO_INPUT_CFG_EV_BITS:
        return fill_bits(s, config);
    case VIRTIO_INPUT_CFG_ABS_INFO:
        if (!(s->model->kinds & 1u << INPUT_ABS) || s->subsel > ABS_Y) {
            return 0;
        }
        config->u.abs.max = INPUT_ABS_MAX;
        return sizeof(config->u.abs);
    default:
        return 0;
    }
}

static void input_get_config(VirtIODevice *vdev, void *data)
{
    const VirtIOInput *s = downcast(vdev, VirtIOInput, vdev);
    VirtIOInputConfig *config = data;

    config->select = s->select;
    config->subsel = s->subsel;
    config->size = fill_selected(s, config);
}

/* Only the first two fields are the driver's. */
static void input_set_config(VirtIODevice *vdev, unsigned offset, const void *data, unsigned len)
{
    VirtIOInput *s = downcast(vdev, VirtIOInput, vdev);
    uint8_t fields[offsetof(VirtIOInputConfig, size)] = { s->select, s->subsel };

    if (offset < sizeof(fields)) {
        memcpy(fields + offset, data, MIN(len, sizeof(fields) - offset));
        s->select = fields[0];
        s->subsel = fields[1];
        virtio_config_changed(vdev);
    }
}

/* Events to the driver ---------------------------------------------------------- */

/* All events of a report or none: the driver lacks buffers, or broke the protocol. */
static unsigned take_buffers(VirtIOInput *s, VirtQueueElement **elems, unsigned count)
{
    VirtQueue *vq = virtio_get_queue(&s->vdev, EVENT_QUEUE);
    unsigned n = 0;

    while (n < count && (elems[n] = virtqueue_pop(vq))) {
        n++;
        if (elems[n - 1]->in_len < sizeof(VirtIOInputEvent)) {
            virtio_error(&s->vdev, "buffer of %zu bytes for an event",
                         elems[n - 1]->in_len);
            break;
        }
    }
    if (n == count && virtio_queue_live(vq)) {
        return n;
    }
    while (n > 0) {
        virtqueue_unpop(vq, elems[--n]);
    }
    return 0;
}

static void send_report(VirtIOInput *s)
{
    VirtQueue *vq = virtio_get_queue(&s->vdev, EVENT_QUEUE);
    VirtQueueElement *elems[QUEUE_SIZE];
    unsigned n;

    s->report[s->count++] = (VirtIOInputEvent) { .type = EV_SYN, .code = SYN_REPORT };
    n = take_buffers(s, elems, s->count);
    for (unsigned i = 0; i < n; i++) {
        iov_from_buf(elems[i]->in_sg, elems[i]->in_num, 0, &s->report[i], sizeof(s->report[i]));
        virtqueue_fill(vq, elems[i], sizeof(s->report[i]), i);
    }
    virtqueue_flush(vq, n);
    virtio_notify(vq);
    s->count = 0;
}

/* What would not fit into the queue is two reports. */
static void add_event(VirtIOInput *s, uint16_t type, uint16_t code, int32_t value)
{
    s->report[s->count++] = (VirtIOInputEvent) { type, code, value };
    if (s->count == QUEUE_SIZE - 1) {
        send_report(s);
    }
}

static void add_button(VirtIOInput *s, InputButton button, bool down)
{
    uint16_t axis;
    int step = s->wheel_axis ? wheel_step(button, &axis) : 0;

    if (step && down) {
        add_event(s, EV_REL, axis, step);
    } else if (!step && button_codes[button]) {
        add_event(s, EV_KEY, button_codes[button], down);
    }
}

static void input_event(InputHandler *h, const InputEvent *event)
{
    VirtIOInput *s = container_of(h, VirtIOInput, handler);

    if (!virtio_queue_live(virtio_get_queue(&s->vdev, EVENT_QUEUE))) {
        return;
    }
    switch (event->kind) {
    case INPUT_KEY:
        add_event(s, EV_KEY, event->key->code, event->down);
        break;
    case INPUT_BTN:
        add_button(s, event->button, event->down);
        break;
    case INPUT_REL:
        add_event(s, EV_REL, event->y ? REL_Y : REL_X, event->value);
        break;
    default:
        add_event(s, EV_ABS, event->y ? ABS_Y : ABS_X, event->value);
        break;
    }
}

static void input_end_report(InputHandler *h)
{
    VirtIOInput *s = container_of(h, VirtIOInput, handler);

    if (s->count) {
        send_report(s);
    }
}

/* Queues ------------------------------------------------------------------------ */

/* Nobody waits for buffers: a report that comes without them is lost. */
static void input_handle_events(VirtIODevice *vdev, VirtQueue *vq)
{
    virtio_queue_set_notification(vq, false);
}

/* What the driver tells, LEDs, is of no use here; a turn of the loop takes a queue's worth. */
static void input_handle_status(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtQueueElement *elem = NULL;

    for (unsigned i = 0; i < QUEUE_SIZE && (elem = virtqueue_pop(vq)); i++) {
        VirtIOInputEvent event = { 0 };

        iov_to_buf(elem->out_sg, elem->out_num, 0, &event, sizeof(event));
        trace(virtio_input_status, "%s type %u code %u value %u", qdev_name(&vdev->dev),
              event.type, event.code, event.value);
        virtqueue_push(vq, elem, 0);
    }
    virtio_notify(vq);
    if (elem) {
        virtio_queue_kick(vq);
    }
}

/* Life -------------------------------------------------------------------------- */

static void input_start(VirtIODevice *vdev)
{
    input_prefer(vdev->dev.machine, &downcast(vdev, VirtIOInput, vdev)->handler, true);
}

static void input_reset(VirtIODevice *vdev)
{
    VirtIOInput *s = downcast(vdev, VirtIOInput, vdev);

    input_prefer(vdev->dev.machine, &s->handler, false);
    s->select = s->subsel = 0;
    s->count = 0;
}

static void input_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    downcast(vdev, VirtIOInput, vdev)->count = 0;
}

static uint64_t input_get_features(VirtIODevice *vdev, bool modern)
{
    return 0;
}

static bool input_realize(VirtIOInput *s, const VirtIOInputModel *model, Error **errp)
{
    VirtIODevice *vdev = &s->vdev;

    if (s->serial && strlen(s->serial) > sizeof(((VirtIOInputConfig *)0)->u.string)) {
        error_setg(errp, "serial is longer than %zu bytes",
                   sizeof(((VirtIOInputConfig *)0)->u.string));
        return false;
    }
    s->model = model;
    s->handler = (InputHandler) { model->kinds, input_event, input_end_report };
    vdev->config_len = sizeof(VirtIOInputConfig);
    virtio_add_queue(vdev, QUEUE_SIZE, sizeof(VirtQueueElement), input_handle_events);
    virtio_add_queue(vdev, QUEUE_SIZE, sizeof(VirtQueueElement), input_handle_status);
    input_add_handler(vdev->dev.machine, &s->handler);
    return true;
}

static void input_unrealize(VirtIODevice *vdev)
{
    input_del_handler(vdev->dev.machine, &downcast(vdev, VirtIOInput, vdev)->handler);
}

STATE_NOT(VirtIOInput, model, "the class's");
STATE_NOT(VirtIOInput, handler, "where events come from");
STATE_NOT(VirtIOInput, report, "complete whenever the machine is saved");
STATE_NOT(VirtIOInput, count, "complete whenever the machine is saved");

static const StateField input_fields[] = {
    STATE_INT(VirtIOInput, select),
    STATE_INT(VirtIOInput, subsel),
    STATE_END
};

static const StateDesc input_state = { .version = 1, .fields = input_fields };

/* Models ------------------------------------------------------------------------ */

static const VirtIOInputModel keyboard = {
    "QEMU Virtio Keyboard", 1, 1, 1u << INPUT_KEY
};
static const VirtIOInputModel mouse = {
    "QEMU Virtio Mouse", 2, 1, 1u << INPUT_BTN | 1u << INPUT_REL
};
static const VirtIOInputModel tablet = {
    "QEMU Virtio Tablet", 3, 1, 1u << INPUT_BTN | 1u << INPUT_ABS
};

static bool keyboard_realize(VirtIODevice *vdev, Error **errp)
{
    return input_realize(downcast(vdev, VirtIOInput, vdev), &keyboard, errp);
}

static bool mouse_realize(VirtIODevice *vdev, Error **errp)
{
    return input_realize(downcast(vdev, VirtIOInput, vdev), &mouse, errp);
}

static bool tablet_realize(VirtIODevice *vdev, Error **errp)
{
    return input_realize(downcast(vdev, VirtIOInput, vdev), &tablet, errp);
}

#define INPUT_PROPS \
    DEFINE_PROP_STRING("serial", VirtIOInput, serial, NULL, "what the guest can tell it by")

static const Property keyboard_props[] = {
    INPUT_PROPS,
    DEFINE_PROP_END
};

static const Property pointer_props[] = {
    INPUT_PROPS,
    DEFINE_PROP_BOOL("wheel-axis", VirtIOInput, wheel_axis, "on",
                     "wheels turn; off: their steps are buttons"),
    DEFINE_PROP_END
};

#define INPUT_CLASS(_name, _desc, _props, _realize) { \
    .dc = { \
        .oc = { \
            .name = _name "-device", \
            .alias = _name, \
            .desc = (_desc), \
            .parent = &virtio_device_base_class, \
            .instance_size = sizeof(VirtIOInput), \
            .props = (_props), \
        }, \
        VIRTIO_DEVICE_HOOKS, \
        .state = MACHINE_STATE(&input_state), \
    }, \
    .device_id = VIRTIO_ID_INPUT, \
    .in_order = true, \
    .realize = (_realize), \
    .unrealize = input_unrealize, \
    .get_features = input_get_features, \
    .get_config = input_get_config, \
    .set_config = input_set_config, \
    .start = input_start, \
    .reset = input_reset, \
    .queue_reset = input_queue_reset, \
}

static const VirtioDeviceClass virtio_keyboard_class =
    INPUT_CLASS("virtio-keyboard", "virtio keyboard", keyboard_props, keyboard_realize);
DEFINE_CLASS(virtio_keyboard, &virtio_keyboard_class.dc.oc);

static const VirtioDeviceClass virtio_mouse_class =
    INPUT_CLASS("virtio-mouse", "virtio mouse", pointer_props, mouse_realize);
DEFINE_CLASS(virtio_mouse, &virtio_mouse_class.dc.oc);

static const VirtioDeviceClass virtio_tablet_class =
    INPUT_CLASS("virtio-tablet", "virtio pointer with absolute positions", pointer_props,
                tablet_realize);
DEFINE_CLASS(virtio_tablet, &virtio_tablet_class.dc.oc);
