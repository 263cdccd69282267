/*
 * Local APIC: state of one whose registers are elsewhere, in the form of those that are ours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/apic-page.h"

#include "apic-internal.h"

/* One by itself, to hold what is on its way. */
static APICState *new_alone(APICBus **bus, uint32_t id, const APICPage *page)
{
    static const APICBusOps nothing;
    APICState *s;

    *bus = apic_bus_new(id + 1, &nothing, NULL);
    s = apic_new(*bus, id, page->base & APIC_BASE_BSP);
    s->features = (APICFeatures) { .x2apic = true, .tsc_deadline = true };
    return s;
}

static void get_words(const uint32_t *regs, _Atomic uint64_t *words)
{
    for (unsigned i = 0; i < APIC_VECTOR_WORDS; i++) {
        words[i] = regs[2 * i] | (uint64_t)regs[2 * i + 1] << 32;
    }
}

static void put_words(uint32_t *regs, const _Atomic uint64_t *words)
{
    for (unsigned i = 0; i < APIC_VECTOR_WORDS; i++) {
        regs[2 * i] = words[i];
        regs[2 * i + 1] = words[i] >> 32;
    }
}

static void get_page(APICState *s, const APICPage *page)
{
    const uint32_t *r = page->regs;

    s->base = page->base;
    s->tpr = r[REG_TPR] & 0xff;
    s->ldr = r[REG_LDR];
    s->dfr = r[REG_DFR];
    s->svr = r[REG_SVR];
    s->esr = r[REG_ESR];
    s->icr = r[REG_ICR];
    s->icr2 = r[REG_ICR2];
    get_words(&r[REG_ISR], s->isr);
    get_words(&r[REG_TMR], s->tmr);
    get_words(&r[REG_IRR], s->irr);
    for (unsigned i = 0; i < LVT_NB; i++) {
        s->lvt[i] = r[REG_LVT_TIMER + i];
    }
    s->timer_divide = r[REG_TIMER_DIVIDE] & 0xb;
    apic_timer_restore(s, r[REG_TIMER_INITIAL], r[REG_TIMER_CURRENT], page->tsc_deadline);
}

static void put_page(APICState *s, APICPage *page)
{
    bool deadline = (s->lvt[LVT_TIMER] >> LVT_TIMER_SHIFT & 3) == TIMER_DEADLINE;
    uint32_t *r = page->regs, current;

    /* There is no TSC here to compare with. What is due comes before requests are looked at. */
    s->timer_expire = deadline ? -1 : s->timer_expire;
    current = apic_timer_current(s);
    *page = (APICPage) { .base = s->base, .wide = page->wide };
    r[REG_ID] = page->wide && apic_x2apic(s) ? s->id : s->id << 24;
    r[REG_VERSION] = 0x14 | (LVT_NB - 1) << 16;
    r[REG_TPR] = s->tpr;
    r[REG_LDR] = s->ldr;
    r[REG_DFR] = s->dfr;
    r[REG_SVR] = s->svr;
    r[REG_ESR] = s->esr;
    r[REG_ICR] = s->icr;
    r[REG_ICR2] = s->icr2;
    put_words(&r[REG_ISR], s->isr);
    put_words(&r[REG_TMR], s->tmr);
    put_words(&r[REG_IRR], s->irr);
    for (unsigned i = 0; i < LVT_NB; i++) {
        r[REG_LVT_TIMER + i] = s->lvt[i];
    }
    r[REG_TIMER_INITIAL] = s->timer_initial;
    r[REG_TIMER_CURRENT] = current;
    r[REG_TIMER_DIVIDE] = s->timer_divide;
    page->tsc_deadline = s->timer_tsc;
}

void apic_page_save(uint32_t id, const APICPage *page, GByteArray *out)
{
    APICBus *bus;
    APICState *s = new_alone(&bus, id, page);

    get_page(s, page);
    state_save_fields(apic_state.fields, s, out);
    apic_bus_free(bus);
}

bool apic_page_load(uint32_t id, APICPage *page, StateReader *in, Error **errp)
{
    APICBus *bus;
    APICState *s = new_alone(&bus, id, page);
    bool ok = state_load_fields(apic_state.fields, s, in, errp) && apic_state.post_load(s, errp);

    if (ok) {
        put_page(s, page);
    }
    apic_bus_free(bus);
    return ok;
}
