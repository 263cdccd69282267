/*
 * What happens between local APICs: destinations of IPIs and messages.
 *
 * SDM volume 3A, "Determining IPI Destination" and "Message Signalled
 * Interrupts". Delivery takes no lock: it reads the receivers' destination
 * registers as they are and ORs into IRR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "apic-internal.h"

#include "qemu/log.h"
#include "qemu/trace.h"

/* Delivery needs no more than a rough order among equals. */
static uint32_t relaxed(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static bool is_broadcast(const APICMessage *m)
{
    return m->dest == (m->wide ? 0xffffffffu : 0xffu);
}

static bool match_logical(const APICState *s, uint32_t dest)
{
    uint32_t ldr = relaxed(&s->ldr);

    if (apic_x2apic(s)) {
        return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
    }
    if (dest > 0xff) {
        return false;
    }
    ldr >>= 24;
    if (relaxed(&s->dfr) >> 28 == 0xf) {    /* flat */
        return ldr & dest;
    }
    return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);     /* cluster */
}

static bool match(const APICState *s, const APICMessage *m)
{
    if (!apic_hw_enabled(s)) {
        return false;
    }
    if (is_broadcast(m)) {
        return true;
    }
    return m->logical ? match_logical(s, m->dest) : s->id == m->dest;
}

static APICState *nth(const APICBus *bus, unsigned n)
{
    return g_ptr_array_index(bus->apics, n);
}

static int deliver_lowest(APICBus *bus, const APICMessage *m)
{
    unsigned count = bus->apics->len;
    unsigned first = count ? atomic_fetch_add(&bus->rotor, 1) % count : 0;
    unsigned best_value = UINT_MAX;
    APICState *best = NULL;

    for (unsigned i = 0; i < count; i++) {
        APICState *s = nth(bus, (first + i) % count);
        unsigned value;

        if (!match(s, m) || !apic_sw_enabled(s)) {
            continue;
        }
        value = apic_arbitration(s);
        if (value < best_value) {
            best = s;
            best_value = value;
        }
    }
    return best ? apic_accept(best, DM_LOWEST, m->vector, m->level) : 0;
}

int apic_bus_deliver(APICBus *bus, const APICMessage *m)
{
    trace(apic_deliver_irq, "dest 0x%x %s mode %u vector %u", m->dest,
          m->logical ? "logical" : "physical", m->mode, m->vector);
    int taken = 0;

    if (m->mode == DM_LOWEST) {
        return deliver_lowest(bus, m);
    }
    if (!m->logical && !is_broadcast(m)) {
        APICState *s = apic_bus_find(bus, m->dest);

        return s && match(s, m) ? apic_accept(s, m->mode, m->vector, m->level) : 0;
    }
    for (unsigned i = 0; i < bus->apics->len; i++) {
        if (match(nth(bus, i), m)) {
            taken += apic_accept(nth(bus, i), m->mode, m->vector, m->level);
        }
    }
    return taken;
}

int apic_bus_deliver_all(APICBus *bus, const APICMessage *m,
                         const APICState *except)
{
    int taken = 0;

    for (unsigned i = 0; i < bus->apics->len; i++) {
        APICState *s = nth(bus, i);

        if (s != except && apic_hw_enabled(s)) {
            taken += apic_accept(s, m->mode, m->vector, m->level);
        }
    }
    return taken;
}

int apic_bus_send_msi(APICBus *bus, uint64_t addr, uint32_t data)
{
    bool level = data >> 15 & 1;
    APICMessage m = {
        .dest = (addr >> 12 & 0xff) | (bus->wide ? (addr >> 5 & 0x7f) << 8 : 0),
        .logical = addr >> 2 & 1,
        .wide = bus->wide,
        .mode = data >> LVT_MODE_SHIFT & 7,
        .vector = data & LVT_VECTOR,
        .level = level,
    };

    if (addr >> 20 != 0xfee || m.mode == DM_RESERVED || m.mode == DM_SIPI) {
        qemu_log_mask(LOG_GUEST_ERROR, "apic: bad MSI 0x%x to 0x%" PRIx64 "\n",
                      data, addr);
        return 0;
    }
    if (level && !(data >> 14 & 1)) {
        return 0;       /* de-assert */
    }
    /* Redirection hint: one of the logical destinations is enough. */
    if ((addr >> 3 & 1) && m.logical && m.mode == DM_FIXED) {
        m.mode = DM_LOWEST;
    }
    return apic_bus_deliver(bus, &m);
}

/* Wires -------------------------------------------------------------------- */

static void set_lint_all(void *opaque, int n, int level)
{
    APICBus *bus = opaque;

    for (unsigned i = 0; i < bus->apics->len; i++) {
        apic_set_lint(nth(bus, i), n, level);
    }
}

qemu_irq apic_bus_lint(APICBus *bus, unsigned n)
{
    return (qemu_irq) { .handler = set_lint_all, .opaque = bus, .n = n };
}

/* The MSI window ----------------------------------------------------------- */

/* Nobody answers: also where the registers of an APIC were that is off, or in x2APIC mode. */
static uint64_t window_read(void *opaque, hwaddr addr, unsigned size)
{
    return UINT64_MAX;
}

/* Bits 11:4 of a message's address are zero, or 11:5 a part of the destination. */
static void window_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    const APICBus *bus = opaque;

    if (addr & (bus->wide ? 0x010 : 0xff0)) {
        qemu_log_mask(LOG_GUEST_ERROR, "apic: no MSI at 0x%" PRIx64 "\n", addr);
        return;
    }
    apic_bus_send_msi(opaque, APIC_BASE_DEFAULT + addr, data);
}

static const MemoryRegionOps window_ops = {
    .read = window_read,
    .write = window_write,
    .valid = { .min_access_size = 4, .max_access_size = 4 },
    .lockless = true,
};

MemoryRegion *apic_bus_window(APICBus *bus)
{
    return &bus->window;
}

/* Life cycle --------------------------------------------------------------- */

static void apic_free(void *opaque)
{
    APICState *s = opaque;

    apic_timer_cleanup(s);
    g_free(s);
}

APICBus *apic_bus_new(uint32_t id_limit, const APICBusOps *ops, void *opaque)
{
    APICBus *bus = g_new0(APICBus, 1);

    bus->ops = ops;
    bus->opaque = opaque;
    bus->id_limit = id_limit;
    bus->wide = id_limit > XAPIC_ID_LIMIT;
    bus->by_id = g_new0(APICState *, id_limit);
    bus->apics = g_ptr_array_new_with_free_func(apic_free);
    memory_region_init_io(&bus->window, &window_ops, bus, "apic-msi", 0x100000);
    return bus;
}

void apic_bus_free(APICBus *bus)
{
    if (bus) {
        g_ptr_array_unref(bus->apics);
        g_free(bus->by_id);
        g_free(bus);
    }
}

void apic_bus_reset(APICBus *bus)
{
    for (unsigned i = 0; i < bus->apics->len; i++) {
        apic_reset(nth(bus, i));
    }
}

APICState *apic_new(APICBus *bus, uint32_t apic_id, bool bsp)
{
    APICState *s;

    g_assert(apic_id < bus->id_limit && !bus->by_id[apic_id]);
    s = g_new0(APICState, 1);
    s->bus = bus;
    s->id = apic_id;
    s->bsp = bsp;
    s->features.phys_bits = 36;
    apic_timer_init(s);
    apic_reset(s);
    bus->by_id[apic_id] = s;
    g_ptr_array_add(bus->apics, s);
    return s;
}

const GPtrArray *apic_bus_list(const APICBus *bus)
{
    return bus->apics;
}

APICState *apic_bus_find(const APICBus *bus, uint32_t apic_id)
{
    return apic_id < bus->id_limit ? bus->by_id[apic_id] : NULL;
}
