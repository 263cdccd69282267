/*
 * What the files of the local APIC share: state, register bits, helpers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_INTC_APIC_INTERNAL_H
#define HW_INTC_APIC_INTERNAL_H

#include <stdatomic.h>

#include "target/i386/apic.h"
#include "target/i386/apic-regs.h"
#include "qemu/timer.h"

/* IA32_APIC_BASE */
#define APIC_BASE_BSP       (1ull << 8)
#define APIC_BASE_EXTD      (1ull << 10)
#define APIC_BASE_EN        (1ull << 11)
#define APIC_BASE_DEFAULT   0xfee00000ull

/* lvt[] in the order of the registers. */
enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_NB };

#define LVT_VECTOR          0xffu
#define LVT_MODE_SHIFT      8
#define LVT_REMOTE_IRR      (1u << 14)
#define LVT_LEVEL           (1u << 15)
#define LVT_MASKED          (1u << 16)
#define LVT_TIMER_SHIFT     17

enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

/* Delivery modes of ICR, LVT and messages. */
enum {
    DM_FIXED, DM_LOWEST, DM_SMI, DM_RESERVED, DM_NMI, DM_INIT, DM_SIPI,
    DM_EXTINT
};

#define SVR_ENABLE          (1u << 8)
#define SVR_FOCUS_OFF       (1u << 9)

#define ESR_SEND_ILLEGAL    (1u << 5)
#define ESR_RECEIVE_ILLEGAL (1u << 6)
#define ESR_ILLEGAL_REG     (1u << 7)

#define APIC_VECTOR_WORDS   4

/*
 * Words marked A are written by any thread, those marked O only by the own
 * thread but read by any (for matching and arbitration); the rest is the own
 * thread's, the timer's part is under timer_lock.
 */
struct APICState {
    APICBus *bus;
    uint32_t id;
    bool bsp;
    const APICCPUOps *ops;      /* NULL: no CPU connected */
    void *cpu;
    APICFeatures features;

    _Atomic uint64_t irr[APIC_VECTOR_WORDS];    /* A */
    _Atomic uint64_t tmr[APIC_VECTOR_WORDS];    /* A; 1: level */
    _Atomic uint64_t isr[APIC_VECTOR_WORDS];    /* O */
    _Atomic uint64_t base;                      /* O */
    _Atomic uint32_t svr, tpr, ldr, dfr;        /* O */
    _Atomic uint32_t lvt[LVT_NB];               /* O; remote IRR: A */
    _Atomic uint32_t lint_level;                /* A; bit n: LINTn */
    _Atomic uint32_t esr_pending;               /* A */
    atomic_bool extint;                         /* A; latched ExtINT message */
    uint32_t esr;
    uint32_t icr, icr2;

    _Atomic uint32_t *pv_eoi;   /* in guest RAM, or NULL */
    bool pv_eoi_armed;          /* bit 0 of *pv_eoi stands for an EOI */

    GMutex timer_lock;          /* all below; only the timers' lock comes after it */
    QEMUTimer timer;
    uint32_t timer_initial;
    uint32_t timer_divide;      /* the register */
    int64_t timer_start;        /* when the count was timer_initial; below 0 if it became slower */
    uint64_t timer_tsc;         /* deadline; 0: none */
    _Atomic int64_t timer_expire;   /* ns, -1: not armed */
};

struct APICBus {
    const APICBusOps *ops;
    void *opaque;
    uint32_t id_limit;
    bool wide;                  /* there are ids that need x2APIC mode */
    APICState **by_id;          /* id_limit of them, NULL where none */
    GPtrArray *apics;           /* of APICState, owned */
    atomic_uint rotor;          /* lowest priority: whose turn among equals */
    MemoryRegion window;
};

/* One interrupt message, from whatever source. */
typedef struct APICMessage {
    uint32_t dest;
    bool logical;
    bool wide;                  /* dest has more than 8 bits: 0xff is not everybody */
    uint8_t mode;               /* DM_* */
    uint8_t vector;
    bool level;
} APICMessage;

static inline bool apic_hw_enabled(const APICState *s)
{
    return atomic_load_explicit(&s->base, memory_order_relaxed) & APIC_BASE_EN;
}

static inline bool apic_x2apic(const APICState *s)
{
    return atomic_load_explicit(&s->base, memory_order_relaxed) & APIC_BASE_EXTD;
}

static inline bool apic_sw_enabled(const APICState *s)
{
    return atomic_load_explicit(&s->svr, memory_order_relaxed) & SVR_ENABLE;
}

static inline void apic_wake(APICState *s)
{
    if (s->ops) {
        s->ops->interrupt(s->cpu);
    }
}

/* apic.c. The first four: any thread. */
/* Put vector into IRR. Returns 1, or 0 if the APIC takes no interrupts. */
int apic_post(APICState *s, uint8_t vector, bool level);
/* Take a message that was found to be for s. Returns 1, or 0 if dropped. */
int apic_accept(APICState *s, uint8_t mode, uint8_t vector, bool level);
void apic_set_lint(APICState *s, unsigned pin, bool level);
/* Note an error for ESR and raise the error interrupt. */
void apic_error(APICState *s, uint32_t esr_bit);
/* The highest vector set in words, or -1. */
int apic_highest(const _Atomic uint64_t *words);
uint32_t apic_ppr(APICState *s);
/* Arbitration value for lowest priority delivery: lower takes it. */
unsigned apic_arbitration(const APICState *s);
/* Bring an EOI that the guest signalled through memory into ISR. */
void apic_sync_pv_eoi(APICState *s);
/* Tell the CPU if something is deliverable now. */
void apic_recheck(APICState *s);
/* LVT LINTn was written: look at the pin again. */
void apic_lint_changed(APICState *s, unsigned pin);
/* The logical id that follows from the other one. */
uint32_t apic_x2apic_ldr(const APICState *s);
/* Registers to power-on values; base and id stay. */
void apic_reset_registers(APICState *s);

/* apic-timer.c */
void apic_timer_init(APICState *s);
void apic_timer_cleanup(APICState *s);
void apic_timer_reset(APICState *s);
void apic_timer_set_initial(APICState *s, uint32_t count);
uint32_t apic_timer_current(APICState *s);
/* Fire the timer if it is due. */
void apic_timer_poll(APICState *s);
void apic_timer_set_divide(APICState *s, uint32_t value);
/* Store the LVT register; a switch to or from deadline mode disarms. */
void apic_timer_set_lvt(APICState *s, uint32_t value);
void apic_timer_set_tsc_deadline(APICState *s, uint64_t tsc);
uint64_t apic_timer_get_tsc_deadline(APICState *s);
/* LVT and divider are there: it goes on where it was; current 0: it is due. */
void apic_timer_restore(APICState *s, uint32_t initial, uint32_t current, uint64_t deadline);

/* apic-bus.c */
int apic_bus_deliver(APICBus *bus, const APICMessage *m);
/* To every APIC that is on, but not to except. */
int apic_bus_deliver_all(APICBus *bus, const APICMessage *m,
                         const APICState *except);

#endif
