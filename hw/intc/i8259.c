/*
 * Two 8259A interrupt controllers with edge/level control registers.
 *
 * Intel 8259A data sheet (231468), and for ELCR the PIIX4 data sheet (4.2.3.4),
 * whose chips also ignore LTIM of ICW1 in favour of ELCR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/intc/i8259.h"
#include "qemu/trace.h"

#define CASCADE         2       /* the slave's place on the master */

#define ICW1            0x10    /* bit of an A0=0 write that begins with ICW1 */
#define ICW1_SINGLE     0x02
#define ICW1_IC4        0x01
#define ICW4_AEOI       0x02
#define ICW4_SFNM       0x10
#define OCW3            0x08    /* bit of an A0=0 write that is OCW3 */
#define OCW3_POLL       0x04

/* Edge inputs by design: timer, keyboard, cascade, RTC, FPU error. */
static const uint8_t elcr_writable[2] = { 0xf8, 0xde };

struct PICState {
    GMutex lock;            /* all below; above only the CPU's wake-up */
    PICChip chip[2];        /* master, slave */
    qemu_irq intr;
    bool intr_level;
    struct PICPorts {
        PICState *s;
        MemoryRegion mr;
    } ports[2];
    MemoryRegion elcr;
};

/* Priorities --------------------------------------------------------------- */

/* The most urgent input set in mask as a distance from the top: 0-7, 8 none. */
static unsigned priority(const PICChip *c, uint8_t mask)
{
    unsigned p = 0;

    while (p < 8 && !(mask >> ((c->lowest + 1 + p) & 7) & 1)) {
        p++;
    }
    return p;
}

/* The input that asks for service and may have it, or -1. */
static int requesting(const PICChip *c, bool master)
{
    uint8_t in_service = c->isr;
    unsigned p = priority(c, c->irr & ~c->imr);

    if (p == 8) {
        return -1;
    }
    if (c->special_mask) {
        in_service &= ~c->imr;
    }
    if (master && c->special_nested) {  /* the slave may interrupt itself */
        in_service &= ~(1u << CASCADE);
    }
    return p < priority(c, in_service) ? (int)((c->lowest + 1 + p) & 7) : -1;
}

/* Something changed: follow it through to INTR. Lock held. */
static void update(PICState *s)
{
    PICChip *master = &s->chip[0];
    bool level;

    if (!master->single) {  /* INT of the slave is looked at as a level */
        uint8_t bit = requesting(&s->chip[1], false) >= 0 ? 1u << CASCADE : 0;

        master->irr = (master->irr & ~(1u << CASCADE)) | bit;
    }
    level = requesting(master, true) >= 0;
    if (level != s->intr_level) {
        s->intr_level = level;
        qemu_set_irq(s->intr, level);
    }
}

/* Inputs and acknowledge --------------------------------------------------- */

static void set_irq(void *opaque, int n, int level)
{
    PICState *s = opaque;
    PICChip *c = &s->chip[n / 8];
    uint8_t bit = 1u << (n & 7);

    if (n == CASCADE) {
        return;
    }
    trace(pic_set_irq, "irq %d level %d", n, level);
    g_mutex_lock(&s->lock);
    if (c->elcr & bit) {
        c->irr = level ? c->irr | bit : c->irr & ~bit;
    } else if (level && !(c->lines & bit)) {
        c->irr |= bit;
    }
    c->lines = level ? c->lines | bit : c->lines & ~bit;
    update(s);
    g_mutex_unlock(&s->lock);
}

static void take(PICChip *c, unsigned irq)
{
    uint8_t bit = 1u << irq;

    c->taken[irq]++;
    if (!c->auto_eoi) {
        c->isr |= bit;
    } else if (c->rotate_on_aeoi) {
        c->lowest = irq;
    }
    if (!(c->elcr & bit)) {
        c->irr &= ~bit;
    }
}

/* The slave's part of a cycle. A request that has gone is input 7. */
static unsigned acknowledge_slave(PICChip *slave)
{
    int irq = requesting(slave, false);

    if (irq < 0) {
        return 7;
    }
    take(slave, irq);
    return irq;
}

static int acknowledge_locked(PICState *s)
{
    PICChip *master = &s->chip[0];
    int irq = requesting(master, true);

    if (irq < 0) {
        return master->base + 7;
    }
    take(master, irq);
    if (irq == CASCADE && !master->single) {
        return s->chip[1].base + acknowledge_slave(&s->chip[1]);
    }
    return master->base + irq;
}

int pic_acknowledge(PICState *s)
{
    int vector;

    g_mutex_lock(&s->lock);
    vector = acknowledge_locked(s);
    update(s);
    g_mutex_unlock(&s->lock);
    return vector;
}

/* A read after a poll command is an acknowledge cycle of this chip. */
static uint8_t poll_read(PICState *s, PICChip *c)
{
    int irq = requesting(c, c == &s->chip[0]);

    c->poll = false;
    if (irq < 0) {
        return 0x07;
    }
    take(c, irq);
    update(s);
    return 0x80 | irq;
}

/* Registers; lock held ----------------------------------------------------- */

static void write_icw1(PICChip *c, uint8_t value)
{
    c->icw = 2;
    c->icw4_needed = value & ICW1_IC4;
    c->single = value & ICW1_SINGLE;
    c->irr = c->lines & c->elcr;    /* edges must come anew */
    c->imr = 0;
    c->isr = 0;
    c->lowest = 7;
    c->special_mask = false;
    c->read_isr = false;
    c->poll = false;
    c->auto_eoi = false;
    c->rotate_on_aeoi = false;
    c->special_nested = false;
}

/* The input that a non-specific EOI ends, or -1. */
static int highest_in_service(const PICChip *c)
{
    /* In special mask mode masked inputs stay in service. */
    unsigned p = priority(c, c->special_mask ? c->isr & ~c->imr : c->isr);

    return p == 8 ? -1 : (int)((c->lowest + 1 + p) & 7);
}

static void write_ocw2(PICChip *c, uint8_t value)
{
    bool rotate = value & 0x80, specific = value & 0x40, eoi = value & 0x20;
    int irq = specific ? value & 7 : highest_in_service(c);

    if (!eoi && !specific) {
        c->rotate_on_aeoi = rotate;
        return;
    }
    if (irq < 0) {
        return;
    }
    if (eoi) {
        c->isr &= ~(1u << irq);
    }
    if (rotate) {
        c->lowest = irq;
    }
}

static void write_ocw3(PICChip *c, uint8_t value)
{
    c->poll = value & OCW3_POLL;
    if (value & 0x02) {
        c->read_isr = value & 0x01;
    }
    if (value & 0x40) {
        c->special_mask = value & 0x20;
    }
}

/* A write with A0=1: the next initialisation word, or the mask. */
static void write_a1(PICChip *c, uint8_t value)
{
    switch (c->icw) {
    case 2:
        c->base = value & 0xf8;
        c->icw = !c->single ? 3 : c->icw4_needed ? 4 : 0;
        break;
    case 3:     /* the wiring is what it is */
        c->icw = c->icw4_needed ? 4 : 0;
        break;
    case 4:
        c->special_nested = value & ICW4_SFNM;
        c->auto_eoi = value & ICW4_AEOI;
        c->icw = 0;
        break;
    default:
        c->imr = value;
        break;
    }
}

static void pic_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    struct PICPorts *ports = opaque;
    PICState *s = ports->s;
    PICChip *c = &s->chip[ports - s->ports];

    g_mutex_lock(&s->lock);
    if (addr & 1) {
        write_a1(c, data);
    } else if (data & ICW1) {
        write_icw1(c, data);
    } else if (data & OCW3) {
        write_ocw3(c, data);
    } else {
        write_ocw2(c, data);
    }
    update(s);
    g_mutex_unlock(&s->lock);
}

static uint64_t pic_read(void *opaque, hwaddr addr, unsigned size)
{
    struct PICPorts *ports = opaque;
    PICState *s = ports->s;
    PICChip *c = &s->chip[ports - s->ports];
    uint8_t value;

    g_mutex_lock(&s->lock);
    if (c->poll) {
        value = poll_read(s, c);
    } else if (addr & 1) {
        value = c->imr;
    } else {
        value = c->read_isr ? c->isr : c->irr;
    }
    g_mutex_unlock(&s->lock);
    return value;
}

static const MemoryRegionOps pic_ops = {
    .read = pic_read,
    .write = pic_write,
    .valid = { .min_access_size = 1, .max_access_size = 2, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
    .lockless = true,
};

static void elcr_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    PICState *s = opaque;
    PICChip *c = &s->chip[addr & 1];

    g_mutex_lock(&s->lock);
    c->elcr = data & elcr_writable[addr & 1];
    c->irr = (c->irr & ~c->elcr) | (c->lines & c->elcr);
    update(s);
    g_mutex_unlock(&s->lock);
}

static uint64_t elcr_read(void *opaque, hwaddr addr, unsigned size)
{
    PICState *s = opaque;
    uint8_t value;

    g_mutex_lock(&s->lock);
    value = s->chip[addr & 1].elcr;
    g_mutex_unlock(&s->lock);
    return value;
}

static const MemoryRegionOps elcr_ops = {
    .read = elcr_read,
    .write = elcr_write,
    .valid = { .min_access_size = 1, .max_access_size = 2, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
    .lockless = true,
};

/* State -------------------------------------------------------------------- */

static const StateField chip_fields[] = {
    STATE_INT(PICChip, irr),
    STATE_INT(PICChip, imr),
    STATE_INT(PICChip, isr),
    STATE_INT(PICChip, lines),
    STATE_INT(PICChip, elcr),
    STATE_INT(PICChip, base),
    STATE_MAX(PICChip, lowest, 7),
    STATE_MAX(PICChip, icw, 4),
    STATE_BOOL(PICChip, icw4_needed),
    STATE_BOOL(PICChip, single),
    STATE_BOOL(PICChip, read_isr),
    STATE_BOOL(PICChip, poll),
    STATE_BOOL(PICChip, special_mask),
    STATE_BOOL(PICChip, auto_eoi),
    STATE_BOOL(PICChip, rotate_on_aeoi),
    STATE_BOOL(PICChip, special_nested),
    STATE_ARRAY(PICChip, taken),
    STATE_END
};

STATE_NOT(PICState, intr_level, "follows from the chips");
STATE_NOT(PICState, ports, "registers' places");

/* INTR is told anew: to the boot processor's APIC, or to who runs it. */
static bool pic_post_load(void *obj, Error **errp)
{
    PICState *s = obj;

    g_mutex_lock(&s->lock);
    s->intr_level = !(requesting(&s->chip[0], true) >= 0);
    update(s);
    g_mutex_unlock(&s->lock);
    return true;
}

static const StateField pic_fields[] = {
    STATE_STRUCTS(PICState, chip, chip_fields),
    STATE_END
};

const StateDesc pic_state = {
    .name = "i8259", .version = 1, .fields = pic_fields, .post_load = pic_post_load,
};

/* Life cycle --------------------------------------------------------------- */

void pic_reset(PICState *s)
{
    g_mutex_lock(&s->lock);
    for (unsigned i = 0; i < 2; i++) {
        PICChip *c = &s->chip[i];

        c->elcr = 0;
        c->base = 0;
        write_icw1(c, 0);
        c->icw = 0;
        c->imr = 0xff;  /* as firmware would leave it: no vectors yet */
    }
    update(s);
    g_mutex_unlock(&s->lock);
}

PICState *pic_new(qemu_irq intr)
{
    static const char *const names[2] = { "pic", "pic-slave" };
    PICState *s = g_new0(PICState, 1);

    g_mutex_init(&s->lock);
    s->intr = intr;
    for (unsigned i = 0; i < 2; i++) {
        s->ports[i].s = s;
        memory_region_init_io(&s->ports[i].mr, &pic_ops, &s->ports[i],
                              names[i], 2);
    }
    memory_region_init_io(&s->elcr, &elcr_ops, s, "elcr", 2);
    pic_reset(s);
    return s;
}

void pic_free(PICState *s)
{
    if (s) {
        g_mutex_clear(&s->lock);
        g_free(s);
    }
}

PICChip *pic_chip(PICState *s, unsigned n)
{
    return &s->chip[n];
}

MemoryRegion *pic_region(PICState *s, unsigned chip)
{
    return &s->ports[chip].mr;
}

MemoryRegion *pic_elcr_region(PICState *s)
{
    return &s->elcr;
}

qemu_irq pic_irq(PICState *s, unsigned n)
{
    g_assert(n < PIC_NUM_IRQS);
    return (qemu_irq) { .handler = set_irq, .opaque = s, .n = n };
}

char *pic_dump(PICState *s)
{
    GString *out = g_string_new(NULL);

    g_mutex_lock(&s->lock);
    for (unsigned i = 0; i < 2; i++) {
        const PICChip *c = &s->chip[i];

        g_string_append_printf(out, "pic%u: irr=%02x imr=%02x isr=%02x hprio=%u "
                               "irq_base=%02x rr_sel=%u elcr=%02x fnm=%u\n", i,
                               c->irr, c->imr, c->isr, (c->lowest + 1) & 7,
                               c->base, c->read_isr, c->elcr, c->special_nested);
    }
    g_mutex_unlock(&s->lock);
    return g_string_free(out, FALSE);
}

uint64_t pic_count(PICState *s, unsigned n)
{
    uint64_t count;

    g_mutex_lock(&s->lock);
    count = s->chip[n / 8].taken[n % 8];
    g_mutex_unlock(&s->lock);
    return count;
}
