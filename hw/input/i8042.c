/*
 * i8042: a PC's keyboard controller with a keyboard, and the reset line that hangs on it
 * (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller").
 * There is no auxiliary device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/acpi/aml.h"
#include "hw/isa/isa.h"
#include "ps2-keyboard.h"
#include "qemu/cutils.h"
#include "sysemu/runstate.h"

#define PORT_DATA           0x60
#define PORT_COMMAND        0x64
#define KEYBOARD_IRQ        1

/* Status register. */
#define STATUS_FULL         (1u << 0)   /* the output buffer has a byte */
#define STATUS_SYSTEM       (1u << 2)   /* the self-test has passed */
#define STATUS_COMMAND      (1u << 3)   /* the last byte was a command */
#define STATUS_UNLOCKED     (1u << 4)

/* Command byte. */
#define MODE_INTERRUPT      (1u << 0)
#define MODE_SYSTEM         (1u << 2)
#define MODE_DISABLED       (1u << 4)   /* the keyboard's clock */
#define MODE_TRANSLATE      (1u << 6)   /* scan codes of set 2 to set 1 */

/* Commands. */
#define CMD_READ_MODE       0x20
#define CMD_WRITE_MODE      0x60
#define CMD_TEST_AUX        0xa9
#define CMD_SELF_TEST       0xaa
#define CMD_TEST_KEYBOARD   0xab
#define CMD_DISABLE         0xad
#define CMD_ENABLE          0xae
#define CMD_READ_INPUT      0xc0
#define CMD_READ_OUTPUT     0xd0
#define CMD_WRITE_OUTPUT    0xd1
#define CMD_WRITE_KEYBOARD  0xd2        /* a byte as if it came from the keyboard */
#define CMD_LOOP_AUX        0xd3        /* … from the auxiliary device */
#define CMD_WRITE_AUX       0xd4
#define CMD_PULSE           0xf0        /* and above: which lines stay high */

/* Output port: a low bit 0 resets the processor. */
#define OUTPUT_NO_RESET     (1u << 0)
#define OUTPUT_A20          (1u << 1)
#define SELF_TEST_PASSED    0x55
#define AUX_CLOCK_LOW       1           /* the answer to CMD_TEST_AUX: nothing is there */
#define CODE_RELEASED       0xf0

typedef struct I8042State {
    DeviceState dev;
    MemoryRegion data, command;
    qemu_irq irq;
    InputHandler input;
    PS2Keyboard keyboard;
    uint8_t to_set1[256];       /* constant */

    uint8_t mode;
    uint8_t status;             /* but STATUS_FULL */
    uint8_t pending;            /* the command whose parameter comes next; 0: none */
    bool has_reply;             /* the controller's own byte goes before the keyboard's */
    uint8_t reply;
    bool released;              /* an F0 was translated away */
} I8042State;

/* The output buffer -------------------------------------------------------- */

static bool output_full(const I8042State *s)
{
    return s->has_reply || (s->keyboard.count && !(s->mode & MODE_DISABLED));
}

/* Each byte is an edge of its own. */
static void update_irq(I8042State *s)
{
    qemu_irq_lower(s->irq);
    if (output_full(s) && (s->mode & MODE_INTERRUPT)) {
        qemu_irq_raise(s->irq);
    }
}

static void reply(I8042State *s, uint8_t byte)
{
    s->has_reply = true;
    s->reply = byte;
}

/* A byte of the keyboard's as the guest sees it. An F0 becomes the next byte's bit 7. */
static uint8_t take_key(I8042State *s)
{
    uint8_t byte = ps2_keyboard_read(&s->keyboard);

    if (!(s->mode & MODE_TRANSLATE)) {
        return byte;
    }
    if (byte == CODE_RELEASED && s->keyboard.count) {
        s->released = true;
        byte = ps2_keyboard_read(&s->keyboard);
    }
    byte = s->to_set1[byte] | (s->released ? 0x80 : 0);
    s->released = false;
    return byte;
}

static uint64_t data_read(void *opaque, hwaddr addr, unsigned size)
{
    I8042State *s = opaque;

    if (s->has_reply) {
        s->has_reply = false;
    } else if (output_full(s)) {
        s->reply = take_key(s);
    }
    update_irq(s);
    return s->reply;
}

/* Commands ----------------------------------------------------------------- */

static void write_output_port(I8042State *s, uint8_t value)
{
    if (!(value & OUTPUT_NO_RESET)) {
        qemu_system_reset_request(s->dev.machine, SHUTDOWN_CAUSE_GUEST_RESET);
    }
}

static void take_parameter(I8042State *s, uint8_t value)
{
    switch (s->pending) {
    case CMD_WRITE_MODE:
        s->mode = value;
        s->status = (s->status & ~STATUS_SYSTEM) | (value & MODE_SYSTEM ? STATUS_SYSTEM : 0);
        break;
    case CMD_WRITE_OUTPUT:
        write_output_port(s, value);
        break;
    case CMD_WRITE_KEYBOARD:
    case CMD_LOOP_AUX:          /* without the auxiliary device's mark: it is not there */
        reply(s, value);
        break;
    }
    s->pending = 0;
}

static void data_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    I8042State *s = opaque;

    s->status &= ~STATUS_COMMAND;
    if (s->pending) {
        take_parameter(s, data);
    } else {
        s->mode &= ~MODE_DISABLED;
        ps2_keyboard_write(&s->keyboard, data);
    }
    update_irq(s);
}

static void run_command(I8042State *s, uint8_t command)
{
    switch (command) {
    case CMD_READ_MODE:
        reply(s, s->mode);
        break;
    case CMD_WRITE_MODE:
    case CMD_WRITE_OUTPUT:
    case CMD_WRITE_KEYBOARD:
    case CMD_LOOP_AUX:
    case CMD_WRITE_AUX:
        s->pending = command;
        break;
    case CMD_TEST_AUX:
        reply(s, AUX_CLOCK_LOW);
        break;
    case CMD_SELF_TEST:
        s->status |= STATUS_SYSTEM;
        reply(s, SELF_TEST_PASSED);
        break;
    case CMD_TEST_KEYBOARD:
        reply(s, 0);
        break;
    case CMD_DISABLE:
        s->mode |= MODE_DISABLED;
        break;
    case CMD_ENABLE:
        s->mode &= ~MODE_DISABLED;
        break;
    case CMD_READ_INPUT:
        reply(s, 0x80);         /* the keyboard is not locked */
        break;
    case CMD_READ_OUTPUT:
        reply(s, OUTPUT_NO_RESET | OUTPUT_A20);
        break;
    default:
        if (command >= CMD_PULSE) {
            write_output_port(s, command);
        }
        break;
    }
}

static void command_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    I8042State *s = opaque;

    s->status |= STATUS_COMMAND;
    s->pending = 0;
    run_command(s, data);
    update_irq(s);
}

static uint64_t status_read(void *opaque, hwaddr addr, unsigned size)
{
    const I8042State *s = opaque;

    return s->status | STATUS_UNLOCKED | (output_full(s) ? STATUS_FULL : 0);
}

static const MemoryRegionOps data_ops = {
    .read = data_read,
    .write = data_write,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
};

static const MemoryRegionOps command_ops = {
    .read = status_read,
    .write = command_write,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
};

/* Keys from the host ------------------------------------------------------- */

static void press_key(InputHandler *h, const InputEvent *event)
{
    I8042State *s = container_of(h, I8042State, input);

    ps2_keyboard_key(&s->keyboard, event->key, event->down);
    update_irq(s);
}

/* Device ------------------------------------------------------------------- */

/* What the controller makes of scan codes; other bytes pass as they are. */
static void make_translation(I8042State *s)
{
    for (unsigned i = 0; i < sizeof(s->to_set1); i++) {
        s->to_set1[i] = i;
    }
    for (const InputKey *key = input_keys; key->name; key++) {
        s->to_set1[key->set2] = key->number & ~KEY_EXTENDED;
    }
}

static bool i8042_realize(DeviceState *dev, Error **errp)
{
    I8042State *s = downcast(dev, I8042State, dev);

    make_translation(s);
    s->irq = isa_get_irq(dev, KEYBOARD_IRQ, errp);
    memory_region_init_io(&s->data, &data_ops, s, "i8042-data", 1);
    memory_region_init_io(&s->command, &command_ops, s, "i8042-cmd", 1);
    if (!isa_register_ioport(dev, &s->data, PORT_DATA, errp) ||
        !isa_register_ioport(dev, &s->command, PORT_COMMAND, errp)) {
        return false;
    }
    s->input = (InputHandler) { .kinds = 1u << INPUT_KEY, .event = press_key };
    input_add_handler(dev->machine, &s->input);
    return true;
}

static void i8042_unrealize(DeviceState *dev)
{
    input_del_handler(dev->machine, &downcast(dev, I8042State, dev)->input);
}

static void i8042_reset(DeviceState *dev)
{
    I8042State *s = downcast(dev, I8042State, dev);

    ps2_keyboard_reset(&s->keyboard);
    s->mode = MODE_INTERRUPT | MODE_TRANSLATE;
    s->status = 0;
    s->pending = 0;
    s->has_reply = false;
    s->released = false;
    update_irq(s);
}

static void i8042_build_aml(DeviceState *dev, Aml *aml)
{
    aml_begin_device(aml, "KBD");
    aml_name(aml, "_HID");
    aml_eisa_id(aml, "PNP0303");
    aml_name(aml, "_STA");
    aml_integer(aml, 0xf);
    aml_name(aml, "_CRS");
    aml_begin_resources(aml);
    aml_res_io(aml, PORT_DATA, 1, 1);
    aml_res_io(aml, PORT_COMMAND, 1, 1);
    aml_res_irq(aml, KEYBOARD_IRQ);
    aml_end(aml);
    aml_end(aml);
}

STATE_NOT(I8042State, input, "where keys come from");
STATE_NOT(I8042State, to_set1, "constant");

static const StateField keyboard_fields[] = {
    STATE_BOOL(PS2Keyboard, scanning),
    STATE_INT(PS2Keyboard, command),
    STATE_MAX(PS2Keyboard, head, PS2_QUEUE_SIZE - 1),
    STATE_MAX(PS2Keyboard, count, PS2_QUEUE_SIZE),
    STATE_ARRAY(PS2Keyboard, queue),
    STATE_END
};

static const StateField i8042_fields[] = {
    STATE_STRUCT(I8042State, keyboard, keyboard_fields),
    STATE_INT(I8042State, mode),
    STATE_INT(I8042State, status),
    STATE_INT(I8042State, pending),
    STATE_BOOL(I8042State, has_reply),
    STATE_INT(I8042State, reply),
    STATE_BOOL(I8042State, released),
    STATE_END
};

static const StateDesc i8042_state = { .version = 1, .fields = i8042_fields };

static const DeviceClass i8042_class = {
    .oc = {
        .name = "i8042",
        .desc = "keyboard controller with a keyboard",
        .instance_size = sizeof(I8042State),
    },
    .bus_type = TYPE_ISA_BUS,
    .user_creatable = true,
    .realize = i8042_realize,
    .unrealize = i8042_unrealize,
    .reset = i8042_reset,
    .build_aml = i8042_build_aml,
    .state = MACHINE_STATE(&i8042_state),
};
DEFINE_CLASS(i8042, &i8042_class.oc);
