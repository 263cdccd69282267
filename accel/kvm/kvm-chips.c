/*
 * Interrupt controllers and PIT in the host's kernel, in the form of those that are the board's: a
 * saved machine goes on with either.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "kvm-int.h"
#include "sysemu/accel-chips.h"
#include "target/i386/apic-page.h"

static bool set(KVMState *s, unsigned long request, void *arg, const char *what, Error **errp)
{
    int ret = kvm_ioctl(s->vmfd, request, arg);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM refuses the state of its %s", what);
    }
    return ret >= 0;
}

/* PICs ---------------------------------------------------------------------- */

/* The lines that ELCR may make level-triggered. */
static const uint8_t elcr_masks[2] = { 0xf8, 0xde };

static void get_pic(const struct kvm_pic_state *k, PICChip *c)
{
    *c = (PICChip) {
        .irr = k->irr, .imr = k->imr, .isr = k->isr, .lines = k->last_irr, .elcr = k->elcr,
        .base = k->irq_base, .lowest = (k->priority_add + 7) & 7,
        .icw = k->init_state ? k->init_state + 1 : 0, .icw4_needed = k->init4,
        .read_isr = k->read_reg_select, .poll = k->poll, .special_mask = k->special_mask,
        .auto_eoi = k->auto_eoi, .rotate_on_aeoi = k->rotate_on_auto_eoi,
        .special_nested = k->special_fully_nested_mode,
    };
}

static void put_pic(const PICChip *c, struct kvm_pic_state *k, uint8_t elcr_mask)
{
    *k = (struct kvm_pic_state) {
        .irr = c->irr, .imr = c->imr, .isr = c->isr, .last_irr = c->lines, .elcr = c->elcr,
        .irq_base = c->base, .priority_add = (c->lowest + 1) & 7,
        .init_state = c->icw ? c->icw - 1 : 0, .init4 = c->icw4_needed,
        .read_reg_select = c->read_isr, .poll = c->poll, .special_mask = c->special_mask,
        .auto_eoi = c->auto_eoi, .rotate_on_auto_eoi = c->rotate_on_aeoi,
        .special_fully_nested_mode = c->special_nested, .elcr_mask = elcr_mask,
    };
}

static void get_pics(KVMState *s, PICChip pic[2])
{
    for (unsigned i = 0; i < 2; i++) {
        struct kvm_irqchip chip = { .chip_id = i };     /* KVM_IRQCHIP_PIC_MASTER, _SLAVE */

        kvm_ioctl(s->vmfd, KVM_GET_IRQCHIP, &chip);
        get_pic(&chip.chip.pic, &pic[i]);
    }
}

static bool set_pics(KVMState *s, const PICChip pic[2], Error **errp)
{
    bool ok = true;

    for (unsigned i = 0; ok && i < 2; i++) {
        struct kvm_irqchip chip = { .chip_id = i };

        put_pic(&pic[i], &chip.chip.pic, elcr_masks[i]);
        ok = set(s, KVM_SET_IRQCHIP, &chip, "PIC", errp);
    }
    return ok;
}

/* I/O APIC ------------------------------------------------------------------ */

#define RTE_LEVEL       (1u << 15)

/* Of a level KVM's irr is the line, of an edge a message that has not been sent. */
static void get_ioapic(KVMState *s, IOAPICRegisters *r)
{
    struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
    const struct kvm_ioapic_state *k = &chip.chip.ioapic;

    kvm_ioctl(s->vmfd, KVM_GET_IRQCHIP, &chip);
    *r = (IOAPICRegisters) { .id = k->id & 0xf, .select = k->ioregsel, .lines = k->irr };
    for (unsigned pin = 0; pin < IOAPIC_NUM_PINS; pin++) {
        r->rte[pin] = k->redirtbl[pin].bits;
    }
}

static bool set_ioapic(KVMState *s, const IOAPICRegisters *r, Error **errp)
{
    struct kvm_irqchip chip = {
        .chip_id = KVM_IRQCHIP_IOAPIC, .chip.ioapic.base_address = 0xfec00000,
    };
    struct kvm_ioapic_state *k = &chip.chip.ioapic;

    k->id = r->id;
    k->ioregsel = r->select;
    for (unsigned pin = 0; pin < IOAPIC_NUM_PINS; pin++) {
        k->redirtbl[pin].bits = r->rte[pin];
        if (r->rte[pin] & RTE_LEVEL) {
            k->irr |= r->lines & 1u << pin;
        }
    }
    return set(s, KVM_SET_IRQCHIP, &chip, "I/O APIC", errp);
}

/* PIT ------------------------------------------------------------------------ */

/* KVM's numbers for where a count of two bytes is. */
enum { RW_STATE_WORD1 = 4 };
#define NO_MODE 0xff

/*
 * Loaded on the host's monotonic clock. Returns how long ago, or -1. Of channel 0 KVM does not keep
 * the time: it begins anew, and what was due comes once more.
 */
static int64_t get_channel(const struct kvm_pit_channel_state *k, PITChannel *c)
{
    bool counts = k->mode <= 5 && k->rw_mode;

    *c = (PITChannel) {
        .mode = counts ? k->mode : 3, .rw = k->rw_mode & 3, .bcd = k->bcd, .gate = k->gate,
        .write_msb = k->write_state == RW_STATE_WORD1, .write_lsb = k->write_latch,
        .read_msb = k->read_state == RW_STATE_WORD1, .status_latched = k->status_latched,
        .status = k->status, .latch = k->latched_count, .count = k->count, .held = -1,
        .latched = !k->count_latched ? 0 : k->count_latched == RW_WORD ? 2 : 1,
    };
    if (!counts || !k->count_load_time) {
        return counts ? 0 : -1;
    }
    return MAX(0, g_get_monotonic_time() * 1000 - k->count_load_time);
}

static void put_channel(const PITChannel *c, struct kvm_pit_channel_state *k)
{
    unsigned place = c->rw == RW_WORD ? RW_WORD : c->rw;

    *k = (struct kvm_pit_channel_state) {
        .mode = c->rw ? c->mode : NO_MODE, .rw_mode = c->rw, .bcd = c->bcd, .gate = c->gate,
        .write_state = c->write_msb ? RW_STATE_WORD1 : place, .write_latch = c->write_lsb,
        .read_state = c->read_msb ? RW_STATE_WORD1 : place, .status_latched = c->status_latched,
        .status = c->status, .latched_count = c->latch, .count = c->count,
        .count_latched = c->latched == 2 ? RW_WORD : c->latched,
    };
}

static void get_pit(KVMState *s, AccelChips *c)
{
    struct kvm_pit_state2 k = { 0 };

    kvm_ioctl(s->vmfd, KVM_GET_PIT2, &k);
    for (unsigned i = 0; i < G_N_ELEMENTS(k.channels); i++) {
        k.channels[i].count_load_time = i ? k.channels[i].count_load_time : 0;
        c->pit_elapsed[i] = get_channel(&k.channels[i], &c->pit[i]);
    }
}

/* It counts from when it is put, and interrupts soon: local APICs must be there by then. */
static void set_pit(KVMState *s, const PITChannel pit[3])
{
    g_free(s->loaded_pit);
    s->loaded_pit = g_new0(struct kvm_pit_state2, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(s->loaded_pit->channels); i++) {
        put_channel(&pit[i], &s->loaded_pit->channels[i]);
    }
}

int kvm_put_pit(CPUState *cpu)
{
    KVMState *s = kvm_state(cpu);
    g_autofree struct kvm_pit_state2 *pit = NULL;

    if (cpu->cpu_index + 1 < cpu->machine->smp.cpus || !s->loaded_pit) {
        return 0;
    }
    pit = g_steal_pointer(&s->loaded_pit);
    return kvm_ioctl(s->vmfd, KVM_SET_PIT2, pit);
}

/* Hooks ----------------------------------------------------------------------- */

void kvm_get_chips(AccelState *as, AccelChips *c)
{
    KVMState *s = downcast(as, KVMState, parent);

    switch (c->which) {
    case ACCEL_CHIP_PICS:
        get_pics(s, c->pic);
        break;
    case ACCEL_CHIP_IOAPIC:
        get_ioapic(s, &c->ioapic);
        break;
    case ACCEL_CHIP_PIT:
        get_pit(s, c);
        break;
    }
}

bool kvm_set_chips(AccelState *as, const AccelChips *c, Error **errp)
{
    KVMState *s = downcast(as, KVMState, parent);

    switch (c->which) {
    case ACCEL_CHIP_PICS:
        return set_pics(s, c->pic, errp);
    case ACCEL_CHIP_IOAPIC:
        return set_ioapic(s, &c->ioapic, errp);
    default:
        set_pit(s, c->pit);
        return true;
    }
}

/* Local APICs ---------------------------------------------------------------- */

static X86CPU *cpu_of(const void *field)
{
    return (X86CPU *)((const char *)field - offsetof(X86CPU, env.lapic));
}

/* One of each four words of KVM's page is a register. */
static void save_lapic(const void *field, const char *name, GByteArray *out)
{
    X86CPU *cpu = cpu_of(field);
    APICPage page = {
        .base = cpu->env.apic_base, .tsc_deadline = cpu->env.tsc_deadline,
        .wide = cpu->x2apic_at_reset,
    };
    struct kvm_lapic_state lapic = { 0 };
    const uint32_t (*r)[4] = (void *)lapic.regs;

    kvm_ioctl(kvm_cpu(&cpu->cs)->fd, KVM_GET_LAPIC, &lapic);
    for (unsigned i = 0; i < G_N_ELEMENTS(page.regs); i++) {
        page.regs[i] = r[i][0];
    }
    apic_page_save(cpu->apic_id, &page, out);
}

/* It goes to KVM with the registers, the deadline after it. */
static bool load_lapic(void *field, const char *name, StateReader *in, Error **errp)
{
    X86CPU *cpu = cpu_of(field);
    APICPage page = { .wide = cpu->x2apic_at_reset };

    if (!apic_page_load(cpu->apic_id, &page, in, errp)) {
        return false;
    }
    memcpy(cpu->env.lapic, page.regs, sizeof(cpu->env.lapic));
    cpu->env.has_lapic = true;
    cpu->env.apic_base = page.base;
    cpu->env.tsc_deadline = page.tsc_deadline;
    return true;
}

static const StateInfo lapic_info = { .save = save_lapic, .load = load_lapic };

static const StateField lapic_fields[] = {
    STATE_CUSTOM(X86CPU, env.lapic, lapic_info),
    STATE_END
};

static const StateDesc lapic_state = { .name = "apic", .version = 1, .fields = lapic_fields };

void kvm_foreach_lapic(KVMState *s, StateFn *fn, void *opaque)
{
    const MachineState *ms = s->parent.machine;

    for (unsigned i = 0; i < ms->smp.cpus; i++) {
        if (!x86_cpu(ms->cpus[i])->apic) {
            fn(&lapic_state, NULL, i, ms->cpus[i], opaque);
        }
    }
}
