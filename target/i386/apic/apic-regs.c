/*
 * Local APIC registers, by memory (xAPIC) and by MSR (x2APIC).
 *
 * Both modes number the registers alike; what differs is in the tables of legal
 * accesses and reserved bits below. SDM volume 3A, "Local APIC" and "Extended
 * XAPIC (x2APIC)".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "apic-internal.h"

#include "qemu/log.h"

/* Version 0x14 (an integrated APIC), six LVT entries, no directed EOI. */
#define VERSION_VALUE   (0x14u | (LVT_NB - 1) << 16)

#define ICR_LOGICAL     (1u << 11)
#define ICR_BUSY        (1u << 12)
#define ICR_ASSERT      (1u << 14)
#define ICR_LEVEL       (1u << 15)
#define ICR_SHORTHAND_SHIFT 18
#define ICR_VALID       0x000ccfffu

enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

/* Legal accesses of a register in each mode. */
enum { XR = 1, XW = 2, X2R = 4, X2W = 8 };

static const uint8_t reg_access[0x40] = {
    [REG_ID] = XR | X2R,
    [REG_VERSION] = XR | X2R,
    [REG_TPR] = XR | XW | X2R | X2W,
    [REG_APR] = XR,
    [REG_PPR] = XR | X2R,
    [REG_EOI] = XW | X2W,
    [REG_RRD] = XR,
    [REG_LDR] = XR | XW | X2R,
    [REG_DFR] = XR | XW,
    [REG_SVR] = XR | XW | X2R | X2W,
    [REG_ISR ... REG_ISR + 7] = XR | X2R,
    [REG_TMR ... REG_TMR + 7] = XR | X2R,
    [REG_IRR ... REG_IRR + 7] = XR | X2R,
    [REG_ESR] = XR | XW | X2R | X2W,
    [REG_ICR] = XR | XW | X2R | X2W,
    [REG_ICR2] = XR | XW,
    [REG_LVT_TIMER ... REG_TIMER_INITIAL] = XR | XW | X2R | X2W,
    [REG_TIMER_CURRENT] = XR | X2R,
    [REG_TIMER_DIVIDE] = XR | XW | X2R | X2W,
    [REG_SELF_IPI] = X2W,
};

/* Bits of the LVT registers that software may set. */
static const uint32_t lvt_valid[LVT_NB] = {
    [LVT_TIMER] = 0x300ff | 1u << 18,
    [LVT_THERMAL] = 0x107ff,
    [LVT_PERF] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff,
    [LVT_LINT1] = 0x1a7ff,
    [LVT_ERROR] = 0x100ff,
};

static uint32_t lvt_valid_bits(const APICState *s, unsigned n)
{
    uint32_t valid = lvt_valid[n];

    return n == LVT_TIMER && !s->features.tsc_deadline ? valid & ~(1u << 18)
                                                       : valid;
}

/* Reading ------------------------------------------------------------------ */

/* Which 32 bits of a 256-bit register? */
static uint32_t vector_word(const _Atomic uint64_t *words, unsigned n)
{
    return words[n / 2] >> (n % 2 * 32);
}

static uint32_t read_id(const APICState *s)
{
    return apic_x2apic(s) ? s->id : s->id << 24;
}

/* reg is one that reg_access allows to read. */
static uint32_t reg_read(APICState *s, unsigned reg)
{
    apic_sync_pv_eoi(s);
    switch (reg) {
    case REG_ID:
        return read_id(s);
    case REG_VERSION:
        return VERSION_VALUE;
    case REG_TPR:
        return s->tpr;
    case REG_APR:
        return apic_arbitration(s);
    case REG_PPR:
        return apic_ppr(s);
    case REG_LDR:
        return s->ldr;
    case REG_DFR:
        return s->dfr;
    case REG_SVR:
        return s->svr;
    case REG_ISR ... REG_ISR + 7:
        return vector_word(s->isr, reg - REG_ISR);
    case REG_TMR ... REG_TMR + 7:
        return vector_word(s->tmr, reg - REG_TMR);
    case REG_IRR ... REG_IRR + 7:
        apic_timer_poll(s);
        return vector_word(s->irr, reg - REG_IRR);
    case REG_ESR:
        return s->esr;
    case REG_ICR:
        return s->icr;
    case REG_ICR2:
        return s->icr2;
    case REG_LVT_TIMER ... REG_LVT_ERROR:
        return s->lvt[reg - REG_LVT_TIMER];
    case REG_TIMER_INITIAL:
        return s->timer_initial;
    case REG_TIMER_CURRENT:
        return apic_timer_current(s);
    case REG_TIMER_DIVIDE:
        return s->timer_divide;
    default:
        return 0;
    }
}

/* Interrupt command register ----------------------------------------------- */

/* "Interrupt Command Register": table of valid combinations. */
static bool icr_shorthand_valid(unsigned shorthand, unsigned mode)
{
    if (shorthand == SHORTHAND_SELF || shorthand == SHORTHAND_ALL) {
        return mode == DM_FIXED || mode == DM_NMI;
    }
    return true;
}

static void send_ipi(APICState *s, uint32_t icr, uint32_t dest)
{
    unsigned shorthand = icr >> ICR_SHORTHAND_SHIFT & 3;
    APICMessage m = {
        .dest = dest,
        .logical = icr & ICR_LOGICAL,
        .wide = apic_x2apic(s),
        .mode = icr >> LVT_MODE_SHIFT & 7,
        .vector = icr & LVT_VECTOR,
        /* IPIs are edge-triggered whatever the bit says. */
    };

    if (m.mode == DM_RESERVED || m.mode == DM_EXTINT ||
        !icr_shorthand_valid(shorthand, m.mode)) {
        qemu_log_mask(LOG_GUEST_ERROR, "apic: bad ICR 0x%x\n", icr);
        return;
    }
    if (m.mode == DM_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT)) {
        return;     /* level de-assert: only old processors heed it */
    }
    if (m.mode <= DM_LOWEST && m.vector < 16) {
        apic_error(s, ESR_SEND_ILLEGAL);
        return;
    }
    switch (shorthand) {
    case SHORTHAND_SELF:
        apic_accept(s, m.mode, m.vector, false);
        break;
    case SHORTHAND_ALL:
        apic_bus_deliver_all(s->bus, &m, NULL);
        break;
    case SHORTHAND_OTHERS:
        if (m.mode == DM_LOWEST) {  /* one of all: may come back to the sender */
            m.dest = m.wide ? 0xffffffff : 0xff;
            apic_bus_deliver(s->bus, &m);
        } else {
            apic_bus_deliver_all(s->bus, &m, s);
        }
        break;
    default:
        apic_bus_deliver(s->bus, &m);
        break;
    }
}

int apic_send_ipi_to(APICState *s, uint32_t apic_id, uint32_t icr)
{
    unsigned mode = icr >> LVT_MODE_SHIFT & 7, vector = icr & LVT_VECTOR;
    APICState *to = apic_bus_find(s->bus, apic_id);

    if (!to || !apic_hw_enabled(to) || (mode == DM_FIXED && vector < 16)) {
        return 0;
    }
    return apic_accept(to, mode, vector, false);
}

/* Writing ------------------------------------------------------------------ */

static void write_lvt(APICState *s, unsigned n, uint32_t value)
{
    value &= lvt_valid_bits(s, n);
    if (!apic_sw_enabled(s)) {
        value |= LVT_MASKED;
    }
    if (n == LVT_TIMER) {
        apic_timer_set_lvt(s, value);
        return;
    }
    /* Remote IRR is not software's: it stays until EOI or an edge mode. */
    if (value & LVT_LEVEL) {
        value |= s->lvt[n] & LVT_REMOTE_IRR;
    }
    s->lvt[n] = value;
    if (n == LVT_LINT0 || n == LVT_LINT1) {
        apic_lint_changed(s, n - LVT_LINT0);
    }
}

static void write_svr(APICState *s, uint32_t value)
{
    s->svr = value & (0xff | SVR_ENABLE | SVR_FOCUS_OFF);
    if (value & SVR_ENABLE) {
        return;
    }
    /* "Local APIC State After It Has Been Software Disabled" */
    for (unsigned n = 0; n < LVT_NB; n++) {
        if (n == LVT_TIMER) {
            apic_timer_set_lvt(s, s->lvt[n] | LVT_MASKED);
        } else {
            atomic_fetch_or(&s->lvt[n], LVT_MASKED);
        }
    }
}

/* Writing latches what was noted since the last write. */
static void write_esr(APICState *s)
{
    s->esr = atomic_exchange(&s->esr_pending, 0);
}

/* reg is one that reg_access allows to write. */
static void reg_write(APICState *s, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_TPR:
        s->tpr = value & 0xff;
        apic_recheck(s);
        break;
    case REG_EOI:
        apic_eoi(s);
        break;
    case REG_LDR:
        s->ldr = value & 0xff000000;
        break;
    case REG_DFR:
        s->dfr = value | 0x0fffffff;
        break;
    case REG_SVR:
        write_svr(s, value);
        break;
    case REG_ESR:
        write_esr(s);
        break;
    case REG_ICR:
        s->icr = value & ICR_VALID;
        send_ipi(s, s->icr, apic_x2apic(s) ? s->icr2 : s->icr2 >> 24);
        break;
    case REG_ICR2:
        s->icr2 = value & 0xff000000;
        break;
    case REG_LVT_TIMER ... REG_LVT_ERROR:
        write_lvt(s, reg - REG_LVT_TIMER, value);
        break;
    case REG_TIMER_INITIAL:
        apic_timer_set_initial(s, value);
        break;
    case REG_TIMER_DIVIDE:
        apic_timer_set_divide(s, value);
        break;
    case REG_SELF_IPI:
        send_ipi(s, (value & 0xff) | SHORTHAND_SELF << ICR_SHORTHAND_SHIFT, 0);
        break;
    }
}

/* xAPIC: memory-mapped ----------------------------------------------------- */

uint64_t apic_mmio_page(const APICState *s)
{
    uint64_t base = s->base;

    if ((base & (APIC_BASE_EN | APIC_BASE_EXTD)) != APIC_BASE_EN) {
        return UINT64_MAX;
    }
    return base & ~0xfffull;
}

static bool xapic_allows(APICState *s, uint32_t offset, unsigned access)
{
    unsigned reg = offset >> 4;

    if (reg < 0x40 && (reg_access[reg] & access)) {
        return true;
    }
    /* Read-only and write-only registers are no errors, holes are. */
    if (reg >= 0x40 || !(reg_access[reg] & (XR | XW))) {
        apic_error(s, ESR_ILLEGAL_REG);
    }
    qemu_log_mask(LOG_GUEST_ERROR, "apic: %s of register 0x%x\n",
                  access == XR ? "read" : "write", offset);
    return false;
}

uint32_t apic_mmio_read(APICState *s, uint32_t offset, unsigned size)
{
    unsigned part = offset & 0xf;

    offset &= 0xff0;
    /* Only the first four of sixteen bytes exist. */
    if (part + size > 4 || !xapic_allows(s, offset, XR)) {
        return 0;
    }
    return (reg_read(s, offset >> 4) >> part * 8) &
        (0xffffffffu >> (32 - size * 8));
}

void apic_mmio_write(APICState *s, uint32_t offset, uint32_t value,
                     unsigned size)
{
    offset &= 0xfff;
    if (size != 4 || (offset & 0xf)) {
        qemu_log_mask(LOG_GUEST_ERROR, "apic: write of %u bytes at 0x%x\n",
                      size, offset);
        return;
    }
    if (xapic_allows(s, offset, XW)) {
        reg_write(s, offset >> 4, value);
    }
}

/* x2APIC: MSRs ------------------------------------------------------------- */

static bool x2apic_read(APICState *s, unsigned reg, uint64_t *value)
{
    if (!apic_x2apic(s) || reg >= 0x40 || !(reg_access[reg] & X2R)) {
        return false;
    }
    *value = reg_read(s, reg);
    if (reg == REG_ICR) {
        *value |= (uint64_t)s->icr2 << 32;
    }
    return true;
}

/* The bits that give #GP when set. */
static uint64_t x2apic_reserved(const APICState *s, unsigned reg)
{
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI:
        return ~0xffull;
    case REG_EOI:
    case REG_ESR:
        return ~0ull;
    case REG_SVR:
        return ~(uint64_t)(0xff | SVR_ENABLE | SVR_FOCUS_OFF);
    case REG_ICR:   /* the upper half is the destination */
        return 0xffffffffu & ~(ICR_VALID | ICR_BUSY);
    case REG_LVT_TIMER ... REG_LVT_ERROR:
        /* The read-only status bits may be written back. */
        return ~(uint64_t)(lvt_valid_bits(s, reg - REG_LVT_TIMER) |
                           LVT_REMOTE_IRR | 1u << 12);
    case REG_TIMER_DIVIDE:
        return ~0xbull;
    default:
        return ~0xffffffffull;
    }
}

static bool x2apic_write(APICState *s, unsigned reg, uint64_t value)
{
    if (!apic_x2apic(s) || reg >= 0x40 || !(reg_access[reg] & X2W) ||
        (value & x2apic_reserved(s, reg))) {
        return false;
    }
    if (reg == REG_ICR) {
        s->icr2 = value >> 32;
    }
    reg_write(s, reg, value);
    return true;
}

/* IA32_APIC_BASE ----------------------------------------------------------- */

uint64_t apic_get_base(const APICState *s)
{
    return s->base;
}

/* "x2APIC State Transitions": which steps give #GP. */
static bool base_transition_valid(uint64_t old, uint64_t new)
{
    bool old_extd = old & APIC_BASE_EXTD, new_extd = new & APIC_BASE_EXTD;
    bool old_en = old & APIC_BASE_EN, new_en = new & APIC_BASE_EN;

    if (new_extd && !new_en) {
        return false;
    }
    if (new_extd && !old_en) {      /* from disabled only to xAPIC */
        return false;
    }
    return !(old_extd && new_en && !new_extd);  /* no way back to xAPIC */
}

static bool set_base(APICState *s, uint64_t value)
{
    uint64_t old = s->base;
    uint64_t valid = APIC_BASE_BSP | APIC_BASE_EN;

    if (s->features.x2apic) {
        valid |= APIC_BASE_EXTD;
    }
    valid |= ((1ull << s->features.phys_bits) - 1) & ~0xfffull;
    if ((value & ~valid) || !base_transition_valid(old, value)) {
        return false;
    }
    s->base = value;
    if (!(value & APIC_BASE_EN) && (old & APIC_BASE_EN)) {
        apic_reset_registers(s);
    } else if ((value & ~old) & APIC_BASE_EXTD) {
        s->ldr = apic_x2apic_ldr(s);
        s->icr2 = 0;
    }
    apic_recheck(s);
    return true;
}

bool apic_msr_read(APICState *s, uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MSR_APIC_BASE:
        *value = s->base;
        return true;
    case MSR_TSC_DEADLINE:
        *value = apic_timer_get_tsc_deadline(s);
        return s->features.tsc_deadline;
    case MSR_X2APIC_FIRST ... MSR_X2APIC_LAST:
        return x2apic_read(s, msr - MSR_X2APIC_FIRST, value);
    default:
        return false;
    }
}

bool apic_msr_write(APICState *s, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case MSR_APIC_BASE:
        return set_base(s, value);
    case MSR_TSC_DEADLINE:
        if (!s->features.tsc_deadline) {
            return false;
        }
        apic_timer_set_tsc_deadline(s, value);
        return true;
    case MSR_X2APIC_FIRST ... MSR_X2APIC_LAST:
        return x2apic_write(s, msr - MSR_X2APIC_FIRST, value);
    default:
        return false;
    }
}

/* For people --------------------------------------------------------------- */

static void dump_vectors(GString *out, const char *name,
                         const _Atomic uint64_t *words,
                         const _Atomic uint64_t *level)
{
    g_string_append_printf(out, "%-4s", name);
    for (unsigned v = 0; v < 256; v++) {
        if (words[v / 64] >> (v % 64) & 1) {
            g_string_append_printf(out, " %u%s", v,
                                   level[v / 64] >> (v % 64) & 1 ? "(level)" : "");
        }
    }
    g_string_append(out, apic_highest(words) < 0 ? " (none)\n" : "\n");
}

static void dump_lvt(GString *out, const char *name, uint32_t lvt)
{
    static const char *const modes[8] = {
        "Fixed", "LowPri", "SMI", "?", "NMI", "INIT", "SIPI", "ExtINT"
    };

    g_string_append_printf(out, "%-8s 0x%08x %-6s vec %u%s%s\n", name, lvt,
                           modes[lvt >> LVT_MODE_SHIFT & 7], lvt & LVT_VECTOR,
                           lvt & LVT_LEVEL ? " level" : " edge",
                           lvt & LVT_MASKED ? " masked" : "");
}

char *apic_dump(APICState *s)
{
    static const char *const names[LVT_NB] = {
        "LVTT", "LVTTHMR", "LVTPC", "LVT0", "LVT1", "LVTERR"
    };
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "dumping local APIC state for CPU %u (%s%s)\n\n",
                           s->id, !apic_hw_enabled(s) ? "disabled" :
                           apic_x2apic(s) ? "x2APIC" : "xAPIC",
                           apic_sw_enabled(s) ? "" : ", software-disabled");
    for (unsigned n = 0; n < LVT_NB; n++) {
        dump_lvt(out, names[n], s->lvt[n]);
    }
    g_string_append_printf(out, "Timer    DCR=0x%x (%s) initial %u current %u\n",
                           s->timer_divide,
                           (const char *const[]){ "one-shot", "periodic",
                               "tsc-deadline", "?" }[s->lvt[LVT_TIMER] >>
                                                     LVT_TIMER_SHIFT & 3],
                           s->timer_initial, apic_timer_current(s));
    g_string_append_printf(out, "SPIV     0x%08x\nICR      0x%08x 0x%08x\n"
                           "ESR      0x%08x\nTPR 0x%02x PPR 0x%02x LDR 0x%08x "
                           "DFR 0x%08x\n", s->svr, s->icr, s->icr2, s->esr,
                           s->tpr, apic_ppr(s), s->ldr, s->dfr);
    dump_vectors(out, "ISR", s->isr, s->tmr);
    dump_vectors(out, "IRR", s->irr, s->tmr);
    return g_string_free(out, FALSE);
}
