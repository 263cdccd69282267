/*
 * Virtio keyboard, mouse and tablet, for drivers that behave and for others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/input-event-codes.h>
#include <linux/virtio_input.h>
#include <string.h>

#include "sysemu/input.h"
#include "virtio-harness.h"

#define BUF   0x10000
#define QUEUE 64
#define SIZE  sizeof(struct virtio_input_event)

typedef struct Report {
    uint16_t type, code;
    int32_t value;
} Report;

static VT *new_input(const char *name, const char *options)
{
    VT *t = vt_new(false);

    vt_plug(t, (const DeviceClass *)object_class_by_name(device_classes, name), options);
    return t;
}

/* Both queues, with n buffers for events. */
static void start(VT *t, unsigned n)
{
    vt_negotiate(t, 0);
    vt_setup_queue(t, 0, QUEUE);
    vt_setup_queue(t, 1, QUEUE);
    for (unsigned i = 0; i < n; i++) {
        vt_add(&t->ring[0], &(VTBuf) { BUF + i * SIZE, SIZE, true }, 1);
    }
    vt_driver_ok(t);
    vt_kick(t, &t->ring[0]);
}

static void expect(VT *t, const Report *want, unsigned n)
{
    for (unsigned i = 0; i <= n; i++) {
        const struct vring_used_elem *used = vt_used(&t->ring[0]);
        const Report end = { EV_SYN, SYN_REPORT, 0 };

        g_assert_nonnull(used);
        g_assert_cmpuint(used->len, ==, SIZE);
        g_assert_cmpmem(t->ram + t->ring[0].desc[used->id].addr, SIZE, i < n ? &want[i] : &end,
                        SIZE);
    }
    g_assert_null(vt_used(&t->ring[0]));
}

static void send_key(VT *t, const char *name, bool down)
{
    g_assert_true(input_send(t->ms, &(InputEvent) { .kind = INPUT_KEY, .down = down,
                                                    .key = input_key_by_name(name) }));
}

static void send_button(VT *t, InputButton button, bool down)
{
    g_assert_true(input_send(t->ms, &(InputEvent) { .kind = INPUT_BTN, .down = down,
                                                    .button = button }));
}

static void move(VT *t, InputKind kind, bool y, int32_t value)
{
    g_assert_true(input_send(t->ms, &(InputEvent) { .kind = kind, .y = y, .value = value }));
}

/* What configuration space shows for a choice; returns its size. */
static unsigned choose(VT *t, unsigned select, unsigned subsel, uint8_t *data)
{
    vt_wr_sized(t, VT_CONFIG, select, 1);
    vt_wr_sized(t, VT_CONFIG + 1, subsel, 1);
    g_assert_cmpuint(vt_rd_sized(t, VT_CONFIG, 1), ==, select);
    for (unsigned i = 0; i < 128; i++) {
        data[i] = vt_rd_sized(t, VT_CONFIG + 8 + i, 1);
    }
    return vt_rd_sized(t, VT_CONFIG + 2, 1);
}

static bool bit(const uint8_t *bitmap, unsigned n)
{
    return bitmap[n / 8] >> n % 8 & 1;
}

static void check_name(VT *t, const char *name, unsigned product)
{
    uint8_t data[128];

    g_assert_cmpuint(vt_rd(t, VT_DEVICE_ID), ==, 18);
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_ID_NAME, 0, data), ==, strlen(name));
    g_assert_cmpstr((char *)data, ==, name);
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_ID_NAME, 1, data), ==, 0);
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_ID_DEVIDS, 0, data), ==, 8);
    g_assert_cmphex(data[0] | data[1] << 8, ==, 6);
    g_assert_cmphex(data[2] | data[3] << 8, ==, 0x627);
    g_assert_cmphex(data[4] | data[5] << 8, ==, product);
    /* No choice shows more than there is, and what is beyond its size is zero. */
    for (unsigned select = 0; select < 0x20; select++) {
        for (unsigned subsel = 0; subsel < 0x40; subsel++) {
            unsigned size = choose(t, select, subsel, data);

            g_assert_cmpuint(size, <=, 128);
            for (; size < 128; size++) {
                g_assert_cmphex(data[size], ==, 0);
            }
        }
    }
}

static void test_keyboard(gconstpointer legacy)
{
    static const Report want[] = { { EV_KEY, KEY_LEFTCTRL, 1 }, { EV_KEY, KEY_UP, 1 } };
    VT *t = new_input("virtio-keyboard-device", "serial=hello");
    uint8_t data[128];

    check_name(t, "QEMU Virtio Keyboard", 1);
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_ID_SERIAL, 0, data), ==, 5);
    g_assert_cmpmem(data, 5, "hello", 5);
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_EV_BITS, EV_KEY, data), ==, 18);
    g_assert_true(bit(data, KEY_A) && bit(data, KEY_WAKEUP) && !bit(data, KEY_PLAY));
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_EV_BITS, EV_LED, data), ==, 1);
    g_assert_cmphex(data[0], ==, 7);
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_EV_BITS, EV_REP, data), ==, 1);
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_EV_BITS, EV_REL, data), ==, 0);
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_ABS_INFO, ABS_X, data), ==, 0);
    start(t, QUEUE);
    send_key(t, "ctrl", true);
    send_key(t, "up", true);
    g_assert_null(vt_used(&t->ring[0]));
    input_sync(t->ms);
    expect(t, want, 2);
    g_assert_cmpint(t->irq_level, ==, 1);
    input_sync(t->ms);
    g_assert_null(vt_used(&t->ring[0]));
    g_assert_false(input_send(t->ms, &(InputEvent) { .kind = INPUT_REL }));
    vt_free(t);
}

static void test_mouse(gconstpointer legacy)
{
    static const Report want[] = {
        { EV_REL, REL_X, -5 }, { EV_REL, REL_Y, INT32_MAX }, { EV_KEY, BTN_RIGHT, 1 },
        { EV_REL, REL_WHEEL, -1 }, { EV_REL, REL_HWHEEL, 1 },
    };
    static const Report gear[] = { { EV_KEY, BTN_GEAR_UP, 1 }, { EV_KEY, BTN_GEAR_UP, 0 } };
    VT *t = new_input("virtio-mouse-device", "");
    uint8_t data[128];

    check_name(t, "QEMU Virtio Mouse", 2);
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_EV_BITS, EV_REL, data), ==, 2);
    g_assert_cmphex(data[0] | data[1] << 8, ==, 1u << REL_X | 1u << REL_Y | 1u << REL_WHEEL |
                    1u << REL_HWHEEL);
    start(t, QUEUE);
    move(t, INPUT_REL, false, -5);
    move(t, INPUT_REL, true, INT32_MAX);
    send_button(t, INPUT_RIGHT, true);
    send_button(t, INPUT_WHEEL_DOWN, true);
    send_button(t, INPUT_WHEEL_DOWN, false);
    send_button(t, INPUT_WHEEL_RIGHT, true);
    input_sync(t->ms);
    expect(t, want, G_N_ELEMENTS(want));
    vt_free(t);

    t = new_input("virtio-mouse-device", "wheel-axis=off");
    start(t, QUEUE);
    send_button(t, INPUT_WHEEL_UP, true);
    send_button(t, INPUT_WHEEL_UP, false);
    send_button(t, INPUT_WHEEL_LEFT, true);
    input_sync(t->ms);
    expect(t, gear, 2);
    vt_free(t);
}

static void test_tablet(gconstpointer legacy)
{
    static const Report want[] = { { EV_ABS, ABS_X, 17 }, { EV_ABS, ABS_Y, INPUT_ABS_MAX } };
    VT *t = new_input("virtio-tablet-device", "");
    uint8_t data[128];

    check_name(t, "QEMU Virtio Tablet", 3);
    for (unsigned axis = ABS_X; axis <= ABS_Z; axis++) {
        g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_ABS_INFO, axis, data), ==,
                         axis == ABS_Z ? 0 : 20);
    }
    g_assert_cmpuint(choose(t, VIRTIO_INPUT_CFG_ABS_INFO, ABS_Y, data), ==, 20);
    g_assert_cmphex(data[4] | data[5] << 8, ==, 0x7fff);
    start(t, QUEUE);
    move(t, INPUT_ABS, false, 17);
    move(t, INPUT_ABS, true, INPUT_ABS_MAX);
    input_sync(t->ms);
    expect(t, want, 2);
    vt_free(t);
}

/* A report that does not fit into the driver's buffers is lost as a whole. */
static void test_no_buffers(gconstpointer legacy)
{
    static const Report want[] = { { EV_KEY, KEY_B, 1 } };
    VT *t = new_input("virtio-keyboard-device", "");

    send_key(t, "a", true);
    input_sync(t->ms);                      /* no driver yet */
    start(t, 2);
    send_key(t, "a", true);
    send_key(t, "a", false);
    input_sync(t->ms);
    g_assert_null(vt_used(&t->ring[0]));
    send_key(t, "b", true);
    input_sync(t->ms);
    expect(t, want, 1);
    send_key(t, "b", false);
    input_sync(t->ms);
    g_assert_null(vt_used(&t->ring[0]));
    /* What was begun before a reset is not part of what comes after it. */
    send_key(t, "c", true);
    start(t, 2);
    send_key(t, "b", true);
    input_sync(t->ms);
    expect(t, want, 1);
    vt_free(t);
}

/* More than a queue holds comes as several reports. */
static void test_long_report(gconstpointer legacy)
{
    VT *t = new_input("virtio-keyboard-device", "");
    unsigned n = 0;

    start(t, QUEUE);
    for (unsigned i = 0; i < 3 * QUEUE; i++) {
        send_key(t, "a", i % 2 == 0);
    }
    input_sync(t->ms);
    while (vt_used(&t->ring[0])) {
        n++;
    }
    g_assert_cmpuint(n, ==, QUEUE);         /* the first; there were no buffers for the rest */
    g_assert_cmphex(t->ram[BUF + (QUEUE - 1) * SIZE], ==, EV_SYN);
    vt_free(t);
}

static void test_bad_buffers(gconstpointer legacy)
{
    static const VTBuf bad[] = { { BUF, 7, true }, { BUF, 64, false } };
    VT *t = new_input("virtio-keyboard-device", "");

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        start(t, 1);
        vt_add(&t->ring[0], &bad[i], 1);
        send_key(t, "a", true);
        input_sync(t->ms);
        vt_assert_needs_reset(t);
        g_assert_null(vt_used(&t->ring[0]));
        send_key(t, "a", true);
        input_sync(t->ms);
    }
    start(t, 2);
    send_key(t, "a", true);
    input_sync(t->ms);
    expect(t, &(Report) { EV_KEY, KEY_A, 1 }, 1);
    vt_free(t);
}

/* LEDs come back at once, whatever the driver calls an event. */
static void test_status(gconstpointer legacy)
{
    VT *t = new_input("virtio-keyboard-device", "");
    const struct vring_used_elem *used;

    start(t, 0);
    for (unsigned len = 1; len <= 4096; len *= 4) {
        for (unsigned write = 0; write < 2; write++) {
            vt_add(&t->ring[1], &(VTBuf) { BUF, len, write }, 1);
            vt_kick(t, &t->ring[1]);
            used = vt_used(&t->ring[1]);
            g_assert_nonnull(used);
            g_assert_cmpuint(used->len, ==, 0);
        }
    }
    for (unsigned i = 0; i < QUEUE; i++) {
        vt_add(&t->ring[1], &(VTBuf) { BUF, SIZE, false }, 1);
    }
    vt_kick(t, &t->ring[1]);
    for (unsigned i = 0; i < QUEUE; i++) {
        g_assert_nonnull(vt_used(&t->ring[1]));
    }
    g_assert_cmphex(vt_rd(t, VT_STATUS) & 0x40, ==, 0);
    vt_free(t);
}

static void other_key(InputHandler *h, const InputEvent *event)
{
    h->unsynced = false;
    h->kinds++;
}

/* Keys go where a driver is, and else to the one that was added last. */
static void test_preference(gconstpointer legacy)
{
    InputHandler other = { 1u << INPUT_KEY | 1u << INPUT_KINDS, other_key, NULL };
    unsigned before = other.kinds;
    VT *t = new_input("virtio-keyboard-device", "");

    input_add_handler(t->ms, &other);
    send_key(t, "a", true);
    g_assert_cmpuint(other.kinds, ==, before + 1);
    other.kinds = before;
    start(t, QUEUE);
    send_key(t, "a", true);
    input_sync(t->ms);
    expect(t, &(Report) { EV_KEY, KEY_A, 1 }, 1);
    g_assert_cmpuint(other.kinds, ==, before);
    vt_wr(t, VT_STATUS, 0);
    send_key(t, "a", true);
    g_assert_cmpuint(other.kinds, ==, before + 1);
    input_del_handler(t->ms, &other);
    vt_free(t);
}

/* Only the choice is the driver's to write, by any width. */
static void test_config_writes(gconstpointer legacy)
{
    VT *t = new_input("virtio-keyboard-device", "");
    g_autofree char *name = g_strnfill(129, 'x');
    g_autofree char *options = g_strdup_printf("serial=%s", name);

    vt_wr_sized(t, VT_CONFIG, 0xffffffff, 4);
    g_assert_cmphex(vt_rd_sized(t, VT_CONFIG, 4), ==, 0x0000ffff);
    vt_wr_sized(t, VT_CONFIG, 0x0001, 2);
    g_assert_cmphex(vt_rd_sized(t, VT_CONFIG + 2, 1), ==, strlen("QEMU Virtio Keyboard"));
    for (unsigned at = 2; at < 256; at++) {
        vt_wr_sized(t, VT_CONFIG + at, 0xff, 1);
    }
    g_assert_cmphex(vt_rd_sized(t, VT_CONFIG + 8, 1), ==, 'Q');
    vt_wr(t, VT_STATUS, 0);
    g_assert_cmphex(vt_rd_sized(t, VT_CONFIG, 4), ==, 0);
    vt_free(t);
    t = vt_new(false);
    {
        g_autofree char *msg = vt_plug_error(
            t, (const DeviceClass *)object_class_by_name(device_classes,
                                                         "virtio-keyboard-device"), options);
        g_assert_cmpstr(msg, ==, "serial is longer than 128 bytes");
    }
    vt_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_modern_test("/virtio-input/keyboard", test_keyboard);
    vt_add_modern_test("/virtio-input/mouse", test_mouse);
    vt_add_modern_test("/virtio-input/tablet", test_tablet);
    vt_add_modern_test("/virtio-input/no-buffers", test_no_buffers);
    vt_add_modern_test("/virtio-input/long-report", test_long_report);
    vt_add_modern_test("/virtio-input/bad-buffers", test_bad_buffers);
    vt_add_modern_test("/virtio-input/status", test_status);
    vt_add_modern_test("/virtio-input/preference", test_preference);
    vt_add_modern_test("/virtio-input/config-writes", test_config_writes);
    return g_test_run();
}
