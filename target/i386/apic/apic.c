/*
 * Local APIC: requests, priorities, acknowledge and end of interrupt.
 *
 * Registers are in apic-regs.c, the timer in apic-timer.c, what happens
 * between APICs in apic-bus.c. Section names are those of the Intel SDM, volume
 * 3A, chapter "Advanced Programmable Interrupt Controller".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "apic-internal.h"

#include <string.h>

#include "qemu/log.h"

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static bool test_vector(const _Atomic uint64_t *words, unsigned vector)
{
    return load(&words[vector / 64]) >> (vector % 64) & 1;
}

/* Returns true if the bit was clear. */
static bool set_vector(_Atomic uint64_t *words, unsigned vector)
{
    uint64_t mask = 1ull << (vector % 64);

    return !(atomic_fetch_or(&words[vector / 64], mask) & mask);
}

static void clear_vector(_Atomic uint64_t *words, unsigned vector)
{
    atomic_fetch_and(&words[vector / 64], ~(1ull << (vector % 64)));
}

int apic_highest(const _Atomic uint64_t *words)
{
    for (int i = APIC_VECTOR_WORDS - 1; i >= 0; i--) {
        uint64_t w = load(&words[i]);

        if (w) {
            return i * 64 + 63 - __builtin_clzll(w);
        }
    }
    return -1;
}

/* "Task and Processor Priorities" */
uint32_t apic_ppr(APICState *s)
{
    uint32_t tpr = s->tpr;
    int isrv = apic_highest(s->isr);
    uint32_t in_service = isrv < 0 ? 0 : isrv & 0xf0;

    return (tpr & 0xf0) >= in_service ? tpr : in_service;
}

/* "Lowest Priority Delivery": the busiest of task, service and request. */
unsigned apic_arbitration(const APICState *s)
{
    unsigned value = atomic_load_explicit(&s->tpr, memory_order_relaxed) & 0xf0;
    int isrv = apic_highest(s->isr);
    int irrv = apic_highest(s->irr);

    if (isrv > 0) {
        value = MAX(value, isrv & 0xf0u);
    }
    if (irrv > 0) {
        value = MAX(value, irrv & 0xf0u);
    }
    return value;
}

/* Requests: any thread ----------------------------------------------------- */

int apic_post(APICState *s, uint8_t vector, bool level)
{
    if (vector < 16) {
        apic_error(s, ESR_RECEIVE_ILLEGAL);
        return 0;
    }
    if (!apic_hw_enabled(s) || !apic_sw_enabled(s)) {
        return 0;
    }
    /*
     * The trigger mode goes first: the acknowledging CPU must find it with the
     * request. Only level sources of one vector share it, so it seldom changes.
     */
    if (test_vector(s->tmr, vector) != level) {
        if (level) {
            set_vector(s->tmr, vector);
        } else {
            clear_vector(s->tmr, vector);
        }
    }
    if (set_vector(s->irr, vector)) {
        apic_wake(s);
    }
    return 1;
}

void apic_error(APICState *s, uint32_t esr_bit)
{
    uint32_t lvt = s->lvt[LVT_ERROR];
    uint8_t vector = lvt & LVT_VECTOR;

    atomic_fetch_or(&s->esr_pending, esr_bit);
    if (lvt & LVT_MASKED) {
        return;
    }
    if (vector < 16) {  /* an error of the error interrupt: only noted */
        atomic_fetch_or(&s->esr_pending, ESR_RECEIVE_ILLEGAL);
        return;
    }
    apic_post(s, vector, false);
}

int apic_accept(APICState *s, uint8_t mode, uint8_t vector, bool level)
{
    switch (mode) {
    case DM_FIXED:
    case DM_LOWEST:
        return apic_post(s, vector, level);
    case DM_NMI:
        if (s->ops) {
            s->ops->nmi(s->cpu);
        }
        return 1;
    case DM_INIT:
        if (s->ops) {
            s->ops->init(s->cpu);
        }
        return 1;
    case DM_SIPI:
        if (s->ops) {
            s->ops->sipi(s->cpu, vector);
        }
        return 1;
    case DM_EXTINT:
        atomic_store(&s->extint, true);
        apic_wake(s);
        return 1;
    default:    /* there is no system management mode here */
        qemu_log_mask(LOG_UNIMP, "apic: delivery mode %u ignored\n", mode);
        return 0;
    }
}

/* LINT0 and LINT1 ---------------------------------------------------------- */

/* A pin in fixed mode with level trigger: request once until EOI. */
static void lint_level_request(APICState *s, unsigned n, uint32_t lvt)
{
    uint32_t old = atomic_fetch_or(&s->lvt[n], LVT_REMOTE_IRR);

    if (!(old & LVT_REMOTE_IRR) && !apic_post(s, lvt & LVT_VECTOR, true)) {
        atomic_fetch_and(&s->lvt[n], ~LVT_REMOTE_IRR);
    }
}

/* Pin n - LVT_LINT0 is high, and has just risen if rising. */
static void lint_high(APICState *s, unsigned n, bool rising)
{
    uint32_t lvt = s->lvt[n];
    unsigned mode = (lvt >> LVT_MODE_SHIFT) & 7;

    if (lvt & LVT_MASKED) {
        return;
    }
    if (mode == DM_EXTINT) {    /* looked at by level: extint_waiting() */
        apic_wake(s);
    } else if (mode == DM_FIXED && (lvt & LVT_LEVEL)) {
        lint_level_request(s, n, lvt);
    } else if (rising && mode != DM_SIPI && mode != DM_LOWEST) {
        apic_accept(s, mode, lvt & LVT_VECTOR, false);
    }
}

void apic_set_lint(APICState *s, unsigned pin, bool level)
{
    uint32_t bit = 1u << pin;
    uint32_t old = level ? atomic_fetch_or(&s->lint_level, bit)
                         : atomic_fetch_and(&s->lint_level, ~bit);
    bool rising = level && !(old & bit);

    if (!level) {
        return;
    }
    if (apic_hw_enabled(s)) {
        lint_high(s, LVT_LINT0 + pin, rising);
    } else if (pin == 0) {      /* disabled: the pins are INTR and NMI */
        apic_wake(s);
    } else if (rising && s->ops) {
        s->ops->nmi(s->cpu);
    }
}

void apic_lint_changed(APICState *s, unsigned pin)
{
    if (s->lint_level & 1u << pin) {
        lint_high(s, LVT_LINT0 + pin, false);
    }
}

/* The 8259 (or an I/O APIC on its behalf) asks for an acknowledge cycle. */
static bool extint_waiting(APICState *s)
{
    uint32_t lvt = s->lvt[LVT_LINT0];

    if (s->extint) {
        return true;
    }
    if (!(s->lint_level & 1)) {
        return false;
    }
    return !apic_hw_enabled(s) ||
        (!(lvt & LVT_MASKED) && ((lvt >> LVT_MODE_SHIFT) & 7) == DM_EXTINT);
}

/* Delivery: own thread ----------------------------------------------------- */

/* The vector that IRR and the priorities let through, or -1. */
static int deliverable(APICState *s)
{
    int vector;

    if (!apic_hw_enabled(s)) {
        return -1;
    }
    vector = apic_highest(s->irr);
    return vector >= 0 && (vector & 0xf0u) > (apic_ppr(s) & 0xf0) ? vector : -1;
}

bool apic_has_interrupt(APICState *s)
{
    apic_sync_pv_eoi(s);
    return extint_waiting(s) || deliverable(s) >= 0;
}

void apic_recheck(APICState *s)
{
    if (apic_has_interrupt(s)) {
        apic_wake(s);
    }
}

static bool only_in_service(const APICState *s, unsigned vector)
{
    for (unsigned i = 0; i < APIC_VECTOR_WORDS; i++) {
        uint64_t own = i == vector / 64 ? 1ull << (vector % 64) : 0;

        if (load(&s->isr[i]) != own) {
            return false;
        }
    }
    return true;
}

/*
 * Let the guest end this interrupt by clearing a bit in its memory, when an EOI
 * would have no other effect: edge trigger, nothing nested, nothing waiting.
 */
static void arm_pv_eoi(APICState *s, unsigned vector)
{
    if (s->pv_eoi && !s->pv_eoi_armed && !test_vector(s->tmr, vector) &&
        only_in_service(s, vector) && apic_highest(s->irr) < 0) {
        atomic_fetch_or(s->pv_eoi, 1);
        s->pv_eoi_armed = true;
    }
}

int apic_get_interrupt(APICState *s)
{
    int vector;

    apic_sync_pv_eoi(s);
    if (extint_waiting(s)) {
        atomic_store(&s->extint, false);
        if (s->bus->ops && s->bus->ops->extint_ack) {
            return s->bus->ops->extint_ack(s->bus->opaque);
        }
    }
    vector = deliverable(s);
    if (vector >= 0) {
        set_vector(s->isr, vector);
        clear_vector(s->irr, vector);
        arm_pv_eoi(s, vector);
    }
    return vector;
}

/* The pins in level mode see the EOI of their vector and ask again. */
static void lint_eoi(APICState *s, uint8_t vector)
{
    for (unsigned pin = 0; pin < 2; pin++) {
        uint32_t lvt = s->lvt[LVT_LINT0 + pin];

        if ((lvt & LVT_REMOTE_IRR) && (lvt & LVT_VECTOR) == vector) {
            atomic_fetch_and(&s->lvt[LVT_LINT0 + pin], ~LVT_REMOTE_IRR);
            apic_lint_changed(s, pin);
        }
    }
}

static void end_of_interrupt(APICState *s)
{
    int vector = apic_highest(s->isr);

    if (vector < 0) {
        return;
    }
    clear_vector(s->isr, vector);
    if (test_vector(s->tmr, vector)) {
        lint_eoi(s, vector);
        if (s->bus->ops && s->bus->ops->eoi) {
            s->bus->ops->eoi(s->bus->opaque, vector);
        }
    }
}

/* Take the permission for a memory EOI back. True if it was used already. */
static bool disarm_pv_eoi(APICState *s)
{
    s->pv_eoi_armed = false;
    return !(atomic_fetch_and(s->pv_eoi, ~1u) & 1);
}

void apic_sync_pv_eoi(APICState *s)
{
    if (!s->pv_eoi_armed) {
        return;
    }
    /* With a request waiting the coming EOI must be a real one. */
    if (!(atomic_load(s->pv_eoi) & 1) || apic_highest(s->irr) >= 0) {
        if (disarm_pv_eoi(s)) {
            end_of_interrupt(s);
        }
    }
}

void apic_set_pv_eoi(APICState *s, uint32_t *flag)
{
    if (s->pv_eoi_armed && disarm_pv_eoi(s)) {
        end_of_interrupt(s);
    }
    s->pv_eoi = (_Atomic uint32_t *)flag;
}

void apic_eoi(APICState *s)
{
    if (s->pv_eoi_armed && disarm_pv_eoi(s)) {
        end_of_interrupt(s);    /* the guest did both: the second is for nobody */
    }
    end_of_interrupt(s);
    apic_recheck(s);
}

uint8_t apic_get_cr8(const APICState *s)
{
    return atomic_load_explicit(&s->tpr, memory_order_relaxed) >> 4;
}

void apic_set_cr8(APICState *s, uint8_t cr8)
{
    s->tpr = (cr8 & 0xfu) << 4;
    apic_recheck(s);
}

/* Life cycle --------------------------------------------------------------- */

/* "Logical Destination Mode in x2APIC Mode" */
uint32_t apic_x2apic_ldr(const APICState *s)
{
    return (s->id >> 4) << 16 | 1u << (s->id & 0xf);
}

/* "Local APIC State After Power-Up or Reset"; INIT does not leave x2APIC mode. */
void apic_reset_registers(APICState *s)
{
    if (s->pv_eoi_armed) {
        disarm_pv_eoi(s);
    }
    for (unsigned i = 0; i < APIC_VECTOR_WORDS; i++) {
        s->irr[i] = s->isr[i] = s->tmr[i] = 0;
    }
    for (unsigned i = 0; i < LVT_NB; i++) {
        s->lvt[i] = LVT_MASKED;
    }
    s->svr = 0xff;
    s->tpr = 0;
    s->ldr = apic_x2apic(s) ? apic_x2apic_ldr(s) : 0;
    s->dfr = 0xffffffff;
    s->esr_pending = s->esr = 0;
    s->icr = s->icr2 = 0;
    s->extint = false;
    apic_timer_reset(s);
}

void apic_init_reset(APICState *s)
{
    apic_reset_registers(s);
}

void apic_reset(APICState *s)
{
    s->pv_eoi = NULL;
    s->pv_eoi_armed = false;
    s->base = APIC_BASE_DEFAULT | APIC_BASE_EN | (s->bsp ? APIC_BASE_BSP : 0) |
              (s->bus->wide ? APIC_BASE_EXTD : 0);
    apic_reset_registers(s);
    /*
     * As firmware leaves it on the boot processor, for kernels that use the
     * 8259 without programming the APIC (virtual wire mode, MP spec 3.6.2.2).
     */
    if (s->bsp) {
        s->lvt[LVT_LINT0] = DM_EXTINT << LVT_MODE_SHIFT;
    }
}

void apic_connect_cpu(APICState *s, const APICCPUOps *ops, void *cpu,
                      const APICFeatures *features)
{
    g_assert(features->phys_bits >= 32 && features->phys_bits <= 52);
    s->features = *features;
    s->features.tsc_deadline = features->tsc_deadline && features->tsc_hz &&
        ops->read_tsc;
    s->cpu = cpu;
    s->ops = ops;
}

void apic_set_tsc_hz(APICState *s, uint64_t hz)
{
    s->features.tsc_hz = hz;
}
