/*
 * Local APIC: what a saved machine holds of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "apic-internal.h"

STATE_NOT(APICState, bus, "the board's");
STATE_NOT(APICState, id, "of the machine's topology");
STATE_NOT(APICState, bsp, "of the machine's topology");
STATE_NOT(APICState, ops, "the accelerator's");
STATE_NOT(APICState, cpu, "the accelerator's");
STATE_NOT(APICState, features, "of CPUID");
STATE_NOT(APICState, pv_eoi, "from the CPU's MSR, by who runs it");
STATE_NOT(APICState, pv_eoi_armed, "taken back before");

/* The EOI that the guest may have signalled in its memory is brought in. */
static void apic_pre_save(void *obj)
{
    APICState *s = obj;

    if (s->pv_eoi_armed) {
        apic_set_pv_eoi(s, (uint32_t *)s->pv_eoi);
    }
    apic_timer_poll(s);
}

static bool timer_is_sound(const APICState *s)
{
    bool deadline = (s->lvt[LVT_TIMER] >> LVT_TIMER_SHIFT & 3) == TIMER_DEADLINE;
    int64_t expire = s->timer_expire;

    return s->timer_start > -INT64_MAX / 4 && s->timer_start < INT64_MAX / 4 && expire >= -1 &&
        expire < INT64_MAX / 2 && (!s->timer_tsc || (deadline && s->features.tsc_deadline)) &&
        (expire < 0 || (deadline ? s->timer_tsc != 0 : s->timer_initial != 0));
}

static bool apic_post_load(void *obj, Error **errp)
{
    APICState *s = obj;

    if ((s->base & APIC_BASE_EXTD) && (!(s->base & APIC_BASE_EN) || !s->features.x2apic)) {
        error_setg(errp, "x2APIC mode, which this processor does not have");
        return false;
    }
    if (!timer_is_sound(s)) {
        error_setg(errp, "impossible timer");
        return false;
    }
    return true;
}

static const StateField apic_fields[] = {
    STATE_INT(APICState, base),
    STATE_INT(APICState, svr),
    STATE_INT(APICState, tpr),
    STATE_INT(APICState, ldr),
    STATE_INT(APICState, dfr),
    STATE_ARRAY(APICState, irr),
    STATE_ARRAY(APICState, isr),
    STATE_ARRAY(APICState, tmr),
    STATE_ARRAY(APICState, lvt),
    STATE_INT(APICState, lint_level),
    STATE_INT(APICState, esr_pending),
    STATE_BOOL(APICState, extint),
    STATE_INT(APICState, esr),
    STATE_INT(APICState, icr),
    STATE_INT(APICState, icr2),
    STATE_INT(APICState, timer_initial),
    STATE_MAX(APICState, timer_divide, 0xb),
    STATE_INT(APICState, timer_start),
    STATE_INT(APICState, timer_tsc),
    STATE_INT(APICState, timer_expire),
    STATE_TIMER(APICState, timer),
    STATE_END
};

const StateDesc apic_state = {
    .name = "apic",
    .version = 1,
    .fields = apic_fields,
    .pre_save = apic_pre_save,
    .post_load = apic_post_load,
};
