/*
 * Model-specific registers, the TSC and KVM's paravirtual clock (Linux,
 * Documentation/virt/kvm/x86/msr.rst).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <time.h>

#include "qemu/log.h"
#include "qemu/timer.h"
#include "target/i386/apic.h"
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/sys/system.h"

/*
 * What processors have without a bit of CPUID that says so, and systems read unasked: the
 * same value always; writes are ignored. Numbers from AMD's APM 2, appendix A, and SDM 4.
 */
static const struct {
    uint32_t first, last;
    uint64_t value;
} fixed_msrs[] = {
    { 0x17, 0x17 },                         /* platform id */
    { 0x2a, 0x2a },                         /* EBL_CR_POWERON */
    { 0x34, 0x34 },                         /* SMIs so far */
    { 0x8b, 0x8b, 0x01000065ull << 32 },    /* microcode */
    { 0xc1, 0xc2 }, { 0x186, 0x187 },       /* P6 counters: none runs */
    { 0xce, 0xce }, { 0x140, 0x140 },       /* platform: no CPUID faulting */
    { 0x179, 0x17a },                       /* machine checks: no banks */
    { 0x199, 0x199 },                       /* PERF_CTL */
    { 0x1d9, 0x1d9 }, { 0x1db, 0x1de },     /* DebugCtl, last branches */
    { 0xc0010000, 0xc0010007 },             /* K7 counters */
    { 0xc0010010, 0xc0010010 },             /* SYSCFG */
    { 0xc0010015, 0xc0010015, 1u << 24 },   /* HWCR: TSC counts at a fixed rate */
    { 0xc001001f, 0xc001001f },             /* NB_CFG */
    { 0xc0010055, 0xc0010055 },             /* interrupt pending: no C1E */
    { 0xc0010058, 0xc0010058 },             /* MMIO configuration space: none */
    { 0xc0010112, 0xc0010113 },             /* TSEG */
    { 0xc0010117, 0xc0010117 },             /* VM_HSAVE_PA */
    { 0xc0011022, 0xc0011023 },             /* DC_CFG, TW_CFG */
    { 0xc0011029, 0xc0011029, 2 },          /* DE_CFG: LFENCE serialises */
    { 0xc001102a, 0xc001102a },             /* BU_CFG2 */
    { 0xc001102c, 0xc001102c },             /* EX_CFG */
};

/*
 * The guest's TSC counts nanoseconds of the machine's clock: the same everywhere. That of one that
 * came from elsewhere goes on at the rate that it had.
 */
#define TSC_KHZ 1000000u

static uint64_t realtime_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + ts.tv_nsec;
}

uint64_t tcg_tsc_khz(void)
{
    return TSC_KHZ;
}

uint64_t tcg_ticks(const TCGCPU *c, int64_t ns)
{
    uint32_t khz = c->tcg->tsc_khz;

    return khz == TSC_KHZ ? (uint64_t)ns : (uint64_t)((unsigned __int128)ns * khz / 1000000);
}

uint64_t tcg_tsc(const TCGCPU *c)
{
    return tcg_ticks(c, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL)) + (uint64_t)c->tsc_offset;
}

static uint64_t kvmclock_ns(const TCGCPU *c)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + (uint64_t)c->tcg->kvmclock_offset;
}

/* struct pvclock_vcpu_time_info. */
typedef struct PVClock {
    uint32_t version;
    uint32_t pad0;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags;
    uint8_t pad[2];
} PVClock;

/* struct pvclock_wall_clock. */
typedef struct PVWallClock {
    uint32_t version, sec, nsec;
} PVWallClock;

/* ns are ticks << shift, times mul / 2^32, whose top bit is set. */
static void set_scale(PVClock *p, uint32_t khz)
{
    uint64_t ns = 1000000, ticks = khz;
    int shift = 0;

    for (; ns >= ticks; ticks *= 2) {
        shift++;
    }
    for (; 2 * ns < ticks; ns *= 2) {
        shift--;
    }
    p->tsc_to_system_mul = (ns << 32) / ticks;
    p->tsc_shift = shift;
}

/* The system time is the machine's clock, on all CPUs, hence stable. */
static void tcg_kvmclock_update(TCGCPU *c)
{
    PVClock *p;
    uint32_t v;

    if (!(c->system_time_msr & 1)) {
        return;
    }
    p = address_space_map(c->mem, c->system_time_msr & ~1ull, sizeof(*p));
    if (!p) {
        return;
    }
    /* Odd while it changes; the guest reads again. */
    v = (p->version + 1) | 1;
    __atomic_store_n(&p->version, v, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    p->tsc_timestamp = tcg_tsc(c);
    p->system_time = kvmclock_ns(c);
    set_scale(p, c->tcg->tsc_khz);
    p->flags = 1;               /* PVCLOCK_TSC_STABLE_BIT */
    __atomic_store_n(&p->version, v + 1, __ATOMIC_RELEASE);
}

static void wall_clock_write(TCGCPU *c)
{
    PVWallClock *p = address_space_map(c->mem, c->wall_clock_msr, sizeof(*p));
    uint64_t t = realtime_ns() - kvmclock_ns(c);
    uint32_t v;

    if (!p) {
        return;
    }
    v = (p->version + 1) | 1;
    __atomic_store_n(&p->version, v, __ATOMIC_RELEASE);
    p->sec = t / 1000000000u;
    p->nsec = t % 1000000000u;
    __atomic_store_n(&p->version, v + 1, __ATOMIC_RELEASE);
}

static bool kvmclock(const TCGCPU *c)
{
    return tcg_has(c, X86_FEATURE_KVMCLOCK) || tcg_has(c, X86_FEATURE_KVMCLOCK2);
}

/* Where a register's value is kept, for those that are just kept. */
static uint64_t *plain_msr(TCGCPU *c, uint32_t msr)
{
    switch (msr) {
    case MSR_SYSENTER_CS: return &c->sysenter_cs;
    case MSR_SYSENTER_ESP: return &c->sysenter_esp;
    case MSR_SYSENTER_EIP: return &c->sysenter_eip;
    case MSR_PAT: return &c->pat;
    case MSR_MISC_ENABLE: return &c->misc_enable;
    case MSR_STAR: return &c->star;
    case MSR_LSTAR: return &c->lstar;
    case MSR_CSTAR: return &c->cstar;
    case MSR_FMASK: return &c->fmask;
    case MSR_FS_BASE: return &c->segs[R_FS].base;
    case MSR_GS_BASE: return &c->segs[R_GS].base;
    case MSR_KERNEL_GS_BASE: return &c->kernel_gs_base;
    case MSR_TSC_AUX: return tcg_has(c, X86_FEATURE_RDTSCP) ? &c->tsc_aux : NULL;
    case MSR_TSC_ADJUST: return tcg_has(c, X86_FEATURE_TSC_ADJUST) ? &c->tsc_adjust : NULL;
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_OLD:
        return kvmclock(c) ? &c->wall_clock_msr : NULL;
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_OLD:
        return kvmclock(c) ? &c->system_time_msr : NULL;
    case MSR_KVM_STEAL_TIME:
        return tcg_has(c, X86_FEATURE_KVM_STEAL_TIME) ? &c->steal_time_msr : NULL;
    case MSR_KVM_PV_EOI_EN:
        return tcg_has(c, X86_FEATURE_KVM_PV_EOI) ? &c->pv_eoi_en_msr : NULL;
    case MSR_KVM_POLL_CONTROL:
        return tcg_has(c, X86_FEATURE_KVM_POLL_CONTROL) ? &c->poll_control_msr : NULL;
    default: return NULL;
    }
}

static bool is_apic_msr(uint32_t msr)
{
    return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE ||
           (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST);
}

/* True with *v: msr is one of those. */
static bool fixed_msr(uint32_t msr, uint64_t *v)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(fixed_msrs); i++) {
        if (msr >= fixed_msrs[i].first && msr <= fixed_msrs[i].last) {
            *v = fixed_msrs[i].value;
            return true;
        }
    }
    return false;
}

G_NORETURN static void unknown(TCGCPU *c, uint32_t msr, const char *what)
{
    qemu_log_mask(LOG_UNIMP, "cpu %u: %s of unknown MSR %x\n", c->index, what,
                  msr);
    tcg_raise_err(c, EXCP_GP, 0);
}

static void need_xsaves(TCGCPU *c, uint32_t msr, const char *what)
{
    if (!tcg_has(c, X86_FEATURE_XSAVES)) {
        unknown(c, msr, what);
    }
}

void tcg_rdmsr(TCGCPU *c, uint32_t msr, uint64_t *v)
{
    uint64_t *p = plain_msr(c, msr);

    if (p) {
        *v = *p;
        return;
    }
    if (is_apic_msr(msr) && c->apic && apic_msr_read(c->apic, msr, v)) {
        return;
    }
    switch (msr) {
    case MSR_TSC: *v = tcg_tsc(c); return;
    case MSR_EFER: *v = c->efer; return;
    case MSR_XSS:
        need_xsaves(c, msr, "read");
        *v = 0;
        return;
    default:
        if (!fixed_msr(msr, v)) {
            unknown(c, msr, "read");
        }
    }
}

/* A value its register cannot take. */
static bool bad_value(uint32_t msr, uint64_t v)
{
    switch (msr) {
    case MSR_KVM_STEAL_TIME:
        return v & 0x3e;
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
        return !tcg_canonical(v);
    case MSR_TSC_AUX:
        return v >> 32;
    case MSR_XSS:
        return v;               /* no component is the supervisor's */
    case MSR_PAT:
        for (unsigned i = 0; i < 8; i++) {
            unsigned t = (v >> (8 * i)) & 0xff;
            if (t > 7 || t == 2 || t == 3) {
                return true;
            }
        }
        return false;
    default:
        return false;
    }
}

static void tsc_changed(TCGCPU *c)
{
    if (c->apic) {
        apic_tsc_changed(c->apic);
    }
    tcg_kvmclock_update(c);
}

static void update_pv_eoi(TCGCPU *c)
{
    if (c->apic) {
        apic_set_pv_eoi(c->apic, c->pv_eoi_en_msr & 1 ?
                        address_space_map(c->mem, c->pv_eoi_en_msr & ~3ull, 4) : NULL);
    }
}

void tcg_msrs_loaded(TCGCPU *c)
{
    update_pv_eoi(c);
    tsc_changed(c);
}

static void plain_written(TCGCPU *c, uint32_t msr, uint64_t old)
{
    switch (msr) {
    case MSR_TSC_ADJUST:
        c->tsc_offset += (int64_t)(c->tsc_adjust - old);
        tsc_changed(c);
        break;
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_OLD:
        tcg_kvmclock_update(c);
        break;
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_OLD:
        wall_clock_write(c);
        break;
    case MSR_KVM_PV_EOI_EN:
        update_pv_eoi(c);
        break;
    default:
        break;
    }
}

static void apic_base_written(TCGCPU *c)
{
    uint64_t page = apic_mmio_page(c->apic);

    c->apic_page = page == UINT64_MAX ? page : page >> TCG_PAGE_BITS;
    c->apic_base = apic_get_base(c->apic);
    tcg_tlb_flush_all(c);
}

void tcg_wrmsr(TCGCPU *c, uint32_t msr, uint64_t v)
{
    uint64_t *p = plain_msr(c, msr), old;

    if (bad_value(msr, v)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if (p) {
        old = *p;
        *p = v;
        plain_written(c, msr, old);
        return;
    }
    if (is_apic_msr(msr) && c->apic && apic_msr_write(c->apic, msr, v)) {
        if (msr == MSR_APIC_BASE) {
            apic_base_written(c);
        }
        return;
    }
    switch (msr) {
    case MSR_TSC: {
        uint64_t d = v - tcg_tsc(c);

        c->tsc_offset += (int64_t)d;
        c->tsc_adjust += d;
        tsc_changed(c);
        return;
    }
    case MSR_EFER: tcg_set_efer(c, v); return;
    case MSR_XSS:
        need_xsaves(c, msr, "write");
        return;
    default:
        if (!fixed_msr(msr, &v)) {
            unknown(c, msr, "write");
        }
    }
}
