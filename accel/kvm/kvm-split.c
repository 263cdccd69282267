/*
 * kernel-irqchip=split: local APICs in the host kernel, I/O APIC and PICs are the
 * board's.
 *
 * The I/O APIC's messages go down by KVM_SIGNAL_MSI or by eventfds. The kernel
 * reports EOIs (KVM_EXIT_IOAPIC_EOI) of the vectors that routes of the first GSIs
 * name with level trigger. The PICs' INTR is for the boot processor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "kvm-int.h"
#include "qemu/log.h"

#define NR_PINS     24
/* Pin n's message for eventfds is GSI NR_PINS + n; GSI n is only for EOIs. */
#define DIRECT_GSI  NR_PINS

#define MSI_LEVEL   (1u << 15)

typedef struct MSIRoute {
    bool present;
    uint64_t addr;
    uint32_t data;
} MSIRoute;

struct KVMSplitIrqchip {
    AccelIrqchip board;         /* its callbacks */
    atomic_bool intr;           /* level of the PICs' INTR */
    GMutex lock;                /* all below; a leaf, taken under the I/O APIC's */
    MSIRoute eoi[NR_PINS];      /* the last level message, masked or not */
    MSIRoute direct[NR_PINS];   /* what the pin would send now */
    unsigned attached[NR_PINS]; /* eventfds */
};

/* ---- Messages and routes ---- */

int kvm_send_msi(AccelState *as, uint64_t addr, uint32_t data)
{
    struct kvm_msi msi = {
        .address_lo = addr, .address_hi = addr >> 32, .data = data,
    };
    int ret = kvm_ioctl(((KVMState *)as)->vmfd, KVM_SIGNAL_MSI, &msi);

    if (ret < 0) {
        qemu_log_mask(LOG_KVM, "kvm: MSI 0x%x to 0x%" PRIx64 ": %s\n", data, addr,
                      strerror(-ret));
    }
    return MAX(ret, 0);
}

static void add_entry(struct kvm_irq_routing *table, unsigned gsi,
                      const MSIRoute *route)
{
    table->entries[table->nr++] = (struct kvm_irq_routing_entry) {
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {
            .address_lo = route->addr,
            .address_hi = route->addr >> 32,
            .data = route->data,
        },
    };
}

/* Give the kernel all routes anew. Lock held. 0 or negative errno. */
static int commit_routes(KVMState *s)
{
    struct KVMSplitIrqchip *split = s->split;
    g_autofree struct kvm_irq_routing *table =
        g_malloc0(sizeof(*table) + 2 * NR_PINS * sizeof(table->entries[0]));
    int ret;

    for (unsigned n = 0; n < NR_PINS; n++) {
        if (split->eoi[n].present) {
            add_entry(table, n, &split->eoi[n]);
        }
        if (split->direct[n].present && split->attached[n]) {
            add_entry(table, DIRECT_GSI + n, &split->direct[n]);
        }
    }
    ret = kvm_ioctl(s->vmfd, KVM_SET_GSI_ROUTING, table);
    if (ret < 0) {
        error_report("KVM refuses %u interrupt routes: %s", table->nr,
                     strerror(-ret));
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
void kvm_set_msi_route(AccelState *as, unsigned n, uint64_t addr, uint32_t data,
                       bool masked)
{
    KVMState *s = (KVMState *)as;
    struct KVMSplitIrqchip *split = s->split;
    MSIRoute new = { .present = !masked, .addr = addr, .data = data };
    bool changed;

    g_assert(n < NR_PINS);
    g_mutex_lock(&split->lock);
    changed = update_route(&split->direct[n], &new) && split->attached[n];
    if (!masked && (data & MSI_LEVEL)) {
        changed |= update_route(&split->eoi[n], &new);
    }
    if (changed) {
        commit_routes(s);
    }
    g_mutex_unlock(&split->lock);
}

void kvm_split_eoi(KVMState *s, uint8_t vector)
{
    if (s->split) {
        s->split->board.eoi(s->split->board.opaque, vector);
    }
}

/* ---- Eventfds ---- */

static int set_irqfd(KVMState *s, unsigned n, EventNotifier *e, uint32_t flags)
{
    struct kvm_irqfd irqfd = { .fd = e->fd, .gsi = DIRECT_GSI + n, .flags = flags };

    return kvm_ioctl(s->vmfd, KVM_IRQFD, &irqfd);
}

int kvm_attach_irqfd(AccelState *as, unsigned n, EventNotifier *e)
{
    KVMState *s = (KVMState *)as;
    struct KVMSplitIrqchip *split = s->split;
    int ret;

    g_assert(n < NR_PINS);
    g_mutex_lock(&split->lock);
    ret = set_irqfd(s, n, e, 0);
    if (ret == 0 && split->attached[n]++ == 0 && split->direct[n].present) {
        commit_routes(s);
    }
    g_mutex_unlock(&split->lock);
    return ret;
}

void kvm_detach_irqfd(AccelState *as, unsigned n, EventNotifier *e)
{
    KVMState *s = (KVMState *)as;
    struct KVMSplitIrqchip *split = s->split;

    g_assert(n < NR_PINS);
    g_mutex_lock(&split->lock);
    if (set_irqfd(s, n, e, KVM_IRQFD_FLAG_DEASSIGN) == 0 && split->attached[n]) {
        split->attached[n]--;   /* a route that nobody uses does no harm */
    }
    g_mutex_unlock(&split->lock);
}

/* ---- The PICs ---- */

static CPUState *boot_processor(const KVMState *s)
{
    const MachineState *ms = s->parent.machine;

    return ms->cpus ? ms->cpus[0] : NULL;
}

static void set_intr(void *opaque, int n, int level)
{
    KVMState *s = opaque;
    CPUState *cpu = boot_processor(s);

    atomic_store(&s->split->intr, level);
    if (level && cpu) {
        kvm_vcpu_kick(cpu);
    }
}

void kvm_split_before_run(CPUState *cpu)
{
    struct KVMSplitIrqchip *split = kvm_state(cpu)->split;
    struct kvm_run *run = kvm_cpu(cpu)->run;
    struct kvm_interrupt irq;
    int vector;

    if (!split || cpu->cpu_index != 0) {
        return;
    }
    if (atomic_load(&split->intr) && run->ready_for_interrupt_injection) {
        vector = split->board.extint_ack(split->board.opaque);
        irq.irq = vector;
        if (vector >= 0) {
            kvm_ioctl(kvm_cpu(cpu)->fd, KVM_INTERRUPT, &irq);
            run->ready_for_interrupt_injection = 0;
        }
    }
    /* Come back as soon as it can take (the next) one. */
    run->request_interrupt_window = atomic_load(&split->intr);
}

/* ---- Making it ---- */

bool kvm_create_split_irqchip(KVMState *s, AccelIrqchip *chip, Error **errp)
{
    struct kvm_enable_cap cap = {
        .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { NR_PINS },
    };
    int ret = kvm_ioctl(s->vmfd, KVM_ENABLE_CAP, &cap);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM cannot split the interrupt controllers");
        return false;
    }
    s->split = g_new0(struct KVMSplitIrqchip, 1);
    g_mutex_init(&s->split->lock);
    s->split->board = *chip;
    chip->intr = (qemu_irq) { .handler = set_intr, .opaque = s };
    return true;
}

void kvm_split_free(KVMState *s)
{
    if (s->split) {
        g_mutex_clear(&s->split->lock);
        g_clear_pointer(&s->split, g_free);
    }
}
