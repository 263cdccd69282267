/*
 * What the inputs of the board's I/O APICs send, told to the host kernel.
 *
 * Messages go down by KVM_SIGNAL_MSI or by eventfds, whose message is a route. Where all I/O
 * APICs are the board's (split), the kernel reports EOIs of the vectors that routes of the
 * first GSIs name with level trigger. Where the kernel has one itself, its inputs keep
 * their default routes beside those of the second's inputs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "kvm-int.h"
#include "qemu/log.h"
#include "target/i386/apic.h"

#define NR_PIC_PINS     8
#define NR_ISA_IRQS     16

typedef struct MSIRoute {
    bool present;
    uint64_t addr;
    uint32_t data;
} MSIRoute;

typedef struct Pin {
    MSIRoute eoi;               /* the last level message, masked or not */
    MSIRoute direct;            /* what the pin would send now */
    unsigned attached;          /* eventfds */
} Pin;

struct KVMRoutes {
    unsigned nr_pins;
    unsigned first;             /* the first pin that is the board's */
    GMutex lock;                /* all below; a leaf, taken under the I/O APIC's */
    Pin pins[];
};

/*
 * The GSI of pin n's message for eventfds. In split mode GSI n is for EOIs alone; where the
 * kernel has an I/O APIC, it has no EOIs for us and GSI n is free.
 */
static unsigned direct_gsi(const KVMRoutes *r, unsigned n)
{
    return r->first ? n : r->nr_pins + n;
}

/* KVM has bits 31:8 of the destination in the upper half of the address. */
#define EXT_DEST        0xfe0u

static uint32_t address_lo(uint64_t addr)
{
    return addr & ~EXT_DEST;
}

static uint32_t address_hi(uint64_t addr)
{
    return (addr & EXT_DEST) << 3;
}

int kvm_send_msi(AccelState *as, uint64_t addr, uint32_t data)
{
    struct kvm_msi msi = {
        .address_lo = address_lo(addr), .address_hi = address_hi(addr), .data = data,
    };
    int ret = kvm_ioctl(downcast(as, KVMState, parent)->vmfd, KVM_SIGNAL_MSI, &msi);

    if (ret < 0) {
        qemu_log_mask(LOG_KVM, "kvm: MSI 0x%x to 0x%" PRIx64 ": %s\n", data, addr,
                      strerror(-ret));
    }
    return MAX(ret, 0);
}

/* The table; lock held ----------------------------------------------------- */

static void add_msi(struct kvm_irq_routing *table, unsigned gsi, const MSIRoute *route)
{
    table->entries[table->nr++] = (struct kvm_irq_routing_entry) {
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {
            .address_lo = address_lo(route->addr),
            .address_hi = address_hi(route->addr),
            .data = route->data,
        },
    };
}

static void add_kernel_pin(struct kvm_irq_routing *table, unsigned gsi, unsigned chip,
                           unsigned pin)
{
    table->entries[table->nr++] = (struct kvm_irq_routing_entry) {
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_IRQCHIP,
        .u.irqchip = { .irqchip = chip, .pin = pin },
    };
}

/* As KVM has them from the beginning: its I/O APIC and, for the first 16, its PICs. */
static void add_kernel_pins(struct kvm_irq_routing *table, unsigned nr)
{
    for (unsigned n = 0; n < nr; n++) {
        add_kernel_pin(table, n, KVM_IRQCHIP_IOAPIC, n);
        if (n < NR_ISA_IRQS) {
            add_kernel_pin(table, n, n < NR_PIC_PINS ? KVM_IRQCHIP_PIC_MASTER
                                                     : KVM_IRQCHIP_PIC_SLAVE,
                           n % NR_PIC_PINS);
        }
    }
}

/* Give the kernel all routes anew. 0 or negative errno. */
static int commit_routes(KVMState *s)
{
    KVMRoutes *r = s->routes;
    g_autofree struct kvm_irq_routing *table =
        g_malloc0(sizeof(*table) + 2 * r->nr_pins * sizeof(table->entries[0]));
    int ret;

    add_kernel_pins(table, r->first);
    for (unsigned n = r->first; n < r->nr_pins; n++) {
        const Pin *pin = &r->pins[n];

        if (pin->eoi.present) {
            add_msi(table, n, &pin->eoi);
        }
        if (pin->direct.present && pin->attached) {
            add_msi(table, direct_gsi(r, n), &pin->direct);
        }
    }
    ret = kvm_ioctl(s->vmfd, KVM_SET_GSI_ROUTING, table);
    if (ret < 0) {
        error_report("KVM refuses %u interrupt routes: %s", table->nr, strerror(-ret));
    }
    return ret;
}

/* True if that changed the route. */
static bool update_route(MSIRoute *route, const MSIRoute *new)
{
    if (route->present == new->present &&
        (!new->present || (route->addr == new->addr && route->data == new->data))) {
        return false;
    }
    *route = *new;
    return true;
}

/*
 * Guests write entries often and mostly edges, without eventfds the kernel need
 * not know those. The EOI's route stays when the entry is masked: the last
 * interrupt may still be in service.
 */
void kvm_set_msi_route(AccelState *as, unsigned n, uint64_t addr, uint32_t data, bool masked)
{
    KVMState *s = downcast(as, KVMState, parent);
    KVMRoutes *r = s->routes;
    MSIRoute new = { .present = !masked, .addr = addr, .data = data };
    Pin *pin = &r->pins[n];
    bool changed;

    g_assert(n >= r->first && n < r->nr_pins);
    g_mutex_lock(&r->lock);
    changed = update_route(&pin->direct, &new) && pin->attached;
    if (!masked && (data & MSI_DATA_LEVEL)) {
        changed |= update_route(&pin->eoi, &new);
    }
    if (changed) {
        commit_routes(s);
    }
    g_mutex_unlock(&r->lock);
}

/* Eventfds ----------------------------------------------------------------- */

static int set_irqfd(KVMState *s, unsigned n, EventNotifier *e, uint32_t flags)
{
    struct kvm_irqfd irqfd = { .fd = e->fd, .gsi = direct_gsi(s->routes, n), .flags = flags };

    return kvm_ioctl(s->vmfd, KVM_IRQFD, &irqfd);
}

int kvm_attach_irqfd(AccelState *as, unsigned n, EventNotifier *e)
{
    KVMState *s = downcast(as, KVMState, parent);
    KVMRoutes *r = s->routes;
    int ret;

    g_assert(n >= r->first && n < r->nr_pins);
    g_mutex_lock(&r->lock);
    ret = set_irqfd(s, n, e, 0);
    if (ret == 0 && r->pins[n].attached++ == 0 && r->pins[n].direct.present) {
        commit_routes(s);
    }
    g_mutex_unlock(&r->lock);
    return ret;
}

void kvm_detach_irqfd(AccelState *as, unsigned n, EventNotifier *e)
{
    KVMState *s = downcast(as, KVMState, parent);
    KVMRoutes *r = s->routes;

    g_assert(n >= r->first && n < r->nr_pins);
    g_mutex_lock(&r->lock);
    if (set_irqfd(s, n, e, KVM_IRQFD_FLAG_DEASSIGN) == 0 && r->pins[n].attached) {
        r->pins[n].attached--;  /* a route that nobody uses does no harm */
    }
    g_mutex_unlock(&r->lock);
}

/* Making it ---------------------------------------------------------------- */

void kvm_routes_init(KVMState *s, unsigned nr_pins, unsigned first)
{
    s->routes = g_malloc0(sizeof(*s->routes) + nr_pins * sizeof(s->routes->pins[0]));
    s->routes->nr_pins = nr_pins;
    s->routes->first = first;
    g_mutex_init(&s->routes->lock);
}

void kvm_routes_free(KVMState *s)
{
    if (s->routes) {
        g_mutex_clear(&s->routes->lock);
        g_clear_pointer(&s->routes, g_free);
    }
}
