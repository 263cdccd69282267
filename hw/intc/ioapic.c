/*
 * I/O APIC: 24 interrupt lines become messages to local APICs.
 *
 * Intel 82093AA data sheet; version 0x20 adds the EOI register (Intel ICH data
 * sheets, "I/O APIC registers").
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/intc/ioapic.h"

#include <string.h>

#include "qemu/log.h"
#include "qemu/trace.h"

/* Memory-mapped. */
#define IOREGSEL    0x00
#define IOWIN       0x10
#define IOEOI       0x40

/* Through IOREGSEL and IOWIN. */
enum { IOAPICID = 0x00, IOAPICVER = 0x01, IOAPICARB = 0x02, IOREDTBL = 0x10 };

#define IOAPIC_VERSION  0x20u

/* Redirection entry. */
#define RTE_VECTOR      0xffu
#define RTE_MODE_SHIFT  8
#define RTE_LOGICAL     (1u << 11)
#define RTE_REMOTE_IRR  (1u << 14)
#define RTE_LEVEL       (1u << 15)
#define RTE_MASKED      (1u << 16)
#define RTE_DEST_SHIFT  56
#define RTE_EXT_DEST_SHIFT 49   /* bits 14:8 of the destination, see ioapic_new() */
#define RTE_EXT_DEST    (0x7full << RTE_EXT_DEST_SHIFT)
#define MSI_EXT_DEST_SHIFT 5    /* where the message's address has them */
/* What software can set: not the status bits. */
#define RTE_WRITABLE    (0xff0000000001afffull)

enum { MODE_FIXED, MODE_LOWEST, MODE_SMI, MODE_NMI = 4, MODE_INIT, MODE_EXTINT = 7 };

struct IOAPICState {
    MemoryRegion mr;
    const IOAPICOps *ops;
    void *opaque;
    GMutex lock;            /* all below; a leaf but for what ops take */
    uint32_t lines;         /* bit n: input n is asserted */
    uint64_t rte[IOAPIC_NUM_PINS];
    uint64_t sent[IOAPIC_NUM_PINS];     /* messages, for "info irq" */
    uint64_t writable;      /* bits of an entry */
    uint8_t id;
    uint8_t first_id;
    uint8_t select;
};

/* Delivery; lock held ------------------------------------------------------ */

static uint64_t msi_address(uint64_t rte)
{
    return 0xfee00000u | (rte >> RTE_DEST_SHIFT) << 12 |
        (rte & RTE_EXT_DEST) >> RTE_EXT_DEST_SHIFT << MSI_EXT_DEST_SHIFT |
        (rte & RTE_LOGICAL ? 1u << 2 : 0);
}

/* Vector, delivery mode and trigger are where the entry has them. */
static uint32_t msi_data(uint64_t rte)
{
    return (rte & (RTE_VECTOR | 7u << RTE_MODE_SHIFT | RTE_LEVEL)) | 1u << 14;
}

/* Only these two modes have an EOI that a level could wait for. */
static bool has_eoi(uint64_t rte)
{
    unsigned mode = rte >> RTE_MODE_SHIFT & 7;

    return mode == MODE_FIXED || mode == MODE_LOWEST;
}

static void send(IOAPICState *s, unsigned pin)
{
    uint64_t rte = s->rte[pin];
    bool level = (rte & RTE_LEVEL) && has_eoi(rte);
    uint32_t data = msi_data(rte);

    if (!level) {   /* the others are edges whatever the entry says */
        data &= ~RTE_LEVEL;
    }
    s->sent[pin]++;
    if (s->ops->send_msi(s->opaque, msi_address(rte), data) > 0 && level) {
        s->rte[pin] |= RTE_REMOTE_IRR;
    }
}

/* A level entry whose line is asserted and that waits for no EOI is sent. */
static void service_level(IOAPICState *s, unsigned pin)
{
    uint64_t rte = s->rte[pin];

    if ((rte & RTE_LEVEL) && !(rte & (RTE_MASKED | RTE_REMOTE_IRR)) &&
        (s->lines >> pin & 1)) {
        send(s, pin);
    }
}

static void set_irq(void *opaque, int n, int level)
{
    IOAPICState *s = opaque;
    uint32_t bit = 1u << n;
    uint64_t rte;
    bool rising;

    trace(ioapic_set_irq, "pin %d level %d", n, level);
    g_mutex_lock(&s->lock);
    rte = s->rte[n];
    rising = level && !(s->lines & bit);
    s->lines = level ? s->lines | bit : s->lines & ~bit;
    if (rte & RTE_LEVEL) {
        service_level(s, n);
    } else if (rising && !(rte & RTE_MASKED)) {
        /* An edge on a masked input is lost (82093AA, 3.2.4, "Interrupt Mask"). */
        send(s, n);
    }
    g_mutex_unlock(&s->lock);
}

static void eoi_locked(IOAPICState *s, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_NUM_PINS; pin++) {
        uint64_t rte = s->rte[pin];

        if ((rte & RTE_REMOTE_IRR) && (rte & RTE_VECTOR) == vector) {
            s->rte[pin] &= ~(uint64_t)RTE_REMOTE_IRR;
            service_level(s, pin);
        }
    }
}

void ioapic_eoi(IOAPICState *s, uint8_t vector)
{
    g_mutex_lock(&s->lock);
    eoi_locked(s, vector);
    g_mutex_unlock(&s->lock);
}

/* Registers; lock held ----------------------------------------------------- */

static void route_changed(IOAPICState *s, unsigned pin)
{
    uint64_t rte = s->rte[pin];

    if (s->ops->route_changed) {
        s->ops->route_changed(s->opaque, pin, msi_address(rte), msi_data(rte),
                              rte & RTE_MASKED);
    }
}

static void write_rte(IOAPICState *s, unsigned pin, bool high, uint32_t value)
{
    uint64_t old = s->rte[pin];
    uint64_t new = high ? (old & 0xffffffffu) | (uint64_t)value << 32
                        : (old & ~0xffffffffull) | value;

    new &= s->writable;
    /* Remote IRR has no meaning for edges; software clears it that way. */
    if (new & RTE_LEVEL) {
        new |= old & RTE_REMOTE_IRR;
    }
    s->rte[pin] = new;
    route_changed(s, pin);
    service_level(s, pin);
}

static uint32_t read_indirect(IOAPICState *s)
{
    unsigned pin = (s->select - IOREDTBL) / 2u;

    switch (s->select) {
    case IOAPICID:
    case IOAPICARB:
        return s->id << 24;
    case IOAPICVER:
        return IOAPIC_VERSION | (IOAPIC_NUM_PINS - 1) << 16;
    case IOREDTBL ... IOREDTBL + 2 * IOAPIC_NUM_PINS - 1:
        return s->rte[pin] >> (s->select % 2 * 32);
    default:
        qemu_log_mask(LOG_GUEST_ERROR, "ioapic: no register 0x%x\n", s->select);
        return 0;
    }
}

static void write_indirect(IOAPICState *s, uint32_t value)
{
    switch (s->select) {
    case IOAPICID:
        s->id = value >> 24 & 0xf;
        break;
    case IOREDTBL ... IOREDTBL + 2 * IOAPIC_NUM_PINS - 1:
        write_rte(s, (s->select - IOREDTBL) / 2u, s->select % 2, value);
        break;
    default:
        qemu_log_mask(LOG_GUEST_ERROR, "ioapic: write to register 0x%x\n",
                      s->select);
        break;
    }
}

static uint64_t ioapic_read(void *opaque, hwaddr addr, unsigned size)
{
    IOAPICState *s = opaque;
    uint32_t value = 0;

    g_mutex_lock(&s->lock);
    if (addr == IOREGSEL) {
        value = s->select;
    } else if (addr == IOWIN && size == 4) {
        value = read_indirect(s);
    }
    g_mutex_unlock(&s->lock);
    return value;
}

static void ioapic_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    IOAPICState *s = opaque;

    g_mutex_lock(&s->lock);
    if (addr == IOREGSEL) {
        s->select = data;
    } else if (addr == IOWIN && size == 4) {
        write_indirect(s, data);
    } else if (addr == IOEOI) {
        eoi_locked(s, data);
    } else {
        qemu_log_mask(LOG_GUEST_ERROR, "ioapic: write of %u bytes at 0x%x\n",
                      size, (unsigned)addr);
    }
    g_mutex_unlock(&s->lock);
}

static const MemoryRegionOps ioapic_ops = {
    .read = ioapic_read,
    .write = ioapic_write,
    .valid = { .min_access_size = 1, .max_access_size = 4 },
    .lockless = true,
};

/* State -------------------------------------------------------------------- */

STATE_NOT(IOAPICState, ops, "the board's");
STATE_NOT(IOAPICState, opaque, "the board's");
STATE_NOT(IOAPICState, writable, "the board's");
STATE_NOT(IOAPICState, first_id, "the board's");

/* Who must know the routes is told of them. */
static bool ioapic_post_load(void *obj, Error **errp)
{
    IOAPICState *s = obj;

    g_mutex_lock(&s->lock);
    for (unsigned pin = 0; pin < IOAPIC_NUM_PINS; pin++) {
        s->rte[pin] &= s->writable | RTE_REMOTE_IRR;
        route_changed(s, pin);
    }
    g_mutex_unlock(&s->lock);
    return true;
}

static const StateField ioapic_fields[] = {
    STATE_INT(IOAPICState, lines),
    STATE_ARRAY(IOAPICState, rte),
    STATE_ARRAY(IOAPICState, sent),
    STATE_MAX(IOAPICState, id, 15),
    STATE_INT(IOAPICState, select),
    STATE_END
};

const StateDesc ioapic_state = {
    .name = "ioapic", .version = 1, .fields = ioapic_fields, .post_load = ioapic_post_load,
};

/* Life cycle --------------------------------------------------------------- */

void ioapic_reset(IOAPICState *s)
{
    g_mutex_lock(&s->lock);
    s->id = s->first_id;
    s->select = 0;
    for (unsigned pin = 0; pin < IOAPIC_NUM_PINS; pin++) {
        s->rte[pin] = RTE_MASKED;
        route_changed(s, pin);
    }
    g_mutex_unlock(&s->lock);
}

IOAPICState *ioapic_new(uint8_t id, bool ext_dest, const IOAPICOps *ops, void *opaque)
{
    IOAPICState *s = g_new0(IOAPICState, 1);

    s->ops = ops;
    s->opaque = opaque;
    s->id = s->first_id = id & 0xf;
    s->writable = RTE_WRITABLE | (ext_dest ? RTE_EXT_DEST : 0);
    g_mutex_init(&s->lock);
    for (unsigned pin = 0; pin < IOAPIC_NUM_PINS; pin++) {
        s->rte[pin] = RTE_MASKED;
    }
    memory_region_init_io(&s->mr, &ioapic_ops, s, "ioapic", 0x1000);
    return s;
}

void ioapic_free(IOAPICState *s)
{
    if (s) {
        g_mutex_clear(&s->lock);
        g_free(s);
    }
}

void ioapic_get_registers(const IOAPICState *s, IOAPICRegisters *r)
{
    *r = (IOAPICRegisters) { .lines = s->lines, .id = s->id, .select = s->select };
    memcpy(r->rte, s->rte, sizeof(r->rte));
}

void ioapic_set_registers(IOAPICState *s, const IOAPICRegisters *r)
{
    s->lines = r->lines;
    s->id = r->id & 0xf;
    s->select = r->select;
    memcpy(s->rte, r->rte, sizeof(s->rte));
}

MemoryRegion *ioapic_region(IOAPICState *s)
{
    return &s->mr;
}

qemu_irq ioapic_irq(IOAPICState *s, unsigned pin)
{
    g_assert(pin < IOAPIC_NUM_PINS);
    return (qemu_irq) { .handler = set_irq, .opaque = s, .n = pin };
}

static unsigned destination(uint64_t rte)
{
    return rte >> RTE_DEST_SHIFT | (rte & RTE_EXT_DEST) >> RTE_EXT_DEST_SHIFT << 8;
}

char *ioapic_dump(IOAPICState *s, unsigned index)
{
    static const char *const modes[8] = {
        "Fixed", "LowPri", "SMI", "?", "NMI", "INIT", "?", "ExtINT"
    };
    GString *out = g_string_new(NULL);

    g_mutex_lock(&s->lock);
    g_string_append_printf(out, "ioapic%u: ver=0x%x id=0x%02x sel=0x%02x\n",
                           index, IOAPIC_VERSION, s->id, s->select);
    for (unsigned pin = 0; pin < IOAPIC_NUM_PINS; pin++) {
        uint64_t rte = s->rte[pin];

        g_string_append_printf(out, "  pin %-2u 0x%016" PRIx64 " dest=%x vec=%u "
                               "%s %s %s%s%s%s\n", pin, rte,
                               destination(rte),
                               (unsigned)(rte & RTE_VECTOR),
                               modes[rte >> RTE_MODE_SHIFT & 7],
                               rte & RTE_LOGICAL ? "logical" : "physical",
                               rte & RTE_LEVEL ? "level" : "edge",
                               rte & RTE_MASKED ? " masked" : "",
                               rte & RTE_REMOTE_IRR ? " remote-irr" : "",
                               s->lines >> pin & 1 ? " asserted" : "");
    }
    g_mutex_unlock(&s->lock);
    return g_string_free(out, FALSE);
}

uint64_t ioapic_count(IOAPICState *s, unsigned pin)
{
    uint64_t n;

    g_mutex_lock(&s->lock);
    n = s->sent[pin];
    g_mutex_unlock(&s->lock);
    return n;
}
