/*
 * One name for each model-specific register that a CPU of either accelerator has.
 *
 * SDM 4, chapter 2; SDM 3A, 12.11 (MTRRs); Linux, Documentation/virt/kvm/x86/msr.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_MSR_H
#define TARGET_I386_MSR_H

#define X86_MTRR_FIXED(M, n, name, number) \
    M(MTRR_FIX##name, number, mtrr_fixed[n], X86_MSR_PLAIN)
#define X86_MTRR_VAR(M, n) \
    M(MTRR_PHYSBASE##n, 0x200 + 2 * (n), mtrr_var[n].base, X86_MSR_PLAIN) \
    M(MTRR_PHYSMASK##n, 0x201 + 2 * (n), mtrr_var[n].mask, X86_MSR_PLAIN)

/*
 * M(name, number, field, kind) for what is kept in CPUX86State, in the order in which KVM is
 * told; N(name, number) for what is somewhere else.
 */
#define X86_MSRS(M, N) \
    M(STAR, 0xc0000081, star, X86_MSR_PLAIN) \
    M(LSTAR, 0xc0000082, lstar, X86_MSR_PLAIN) \
    M(CSTAR, 0xc0000083, cstar, X86_MSR_PLAIN) \
    M(FMASK, 0xc0000084, fmask, X86_MSR_PLAIN) \
    M(KERNEL_GS_BASE, 0xc0000102, kernel_gs_base, X86_MSR_PLAIN) \
    M(SYSENTER_CS, 0x174, sysenter_cs, X86_MSR_PLAIN) \
    M(SYSENTER_ESP, 0x175, sysenter_esp, X86_MSR_PLAIN) \
    M(SYSENTER_EIP, 0x176, sysenter_eip, X86_MSR_PLAIN) \
    M(PAT, 0x277, pat, X86_MSR_PLAIN) \
    M(TSC, 0x10, tsc, X86_MSR_CLOCK) \
    M(TSC_ADJUST, 0x3b, tsc_adjust, X86_MSR_CLOCK) \
    M(TSC_AUX, 0xc0000103, tsc_aux, X86_MSR_PLAIN) \
    M(MISC_ENABLE, 0x1a0, misc_enable, X86_MSR_PLAIN) \
    M(SPEC_CTRL, 0x48, spec_ctrl, X86_MSR_PLAIN) \
    M(MTRR_DEF_TYPE, 0x2ff, mtrr_deftype, X86_MSR_PLAIN) \
    X86_MTRR_FIXED(M, 0, 64K_00000, 0x250) \
    X86_MTRR_FIXED(M, 1, 16K_80000, 0x258) X86_MTRR_FIXED(M, 2, 16K_A0000, 0x259) \
    X86_MTRR_FIXED(M, 3, 4K_C0000, 0x268) X86_MTRR_FIXED(M, 4, 4K_C8000, 0x269) \
    X86_MTRR_FIXED(M, 5, 4K_D0000, 0x26a) X86_MTRR_FIXED(M, 6, 4K_D8000, 0x26b) \
    X86_MTRR_FIXED(M, 7, 4K_E0000, 0x26c) X86_MTRR_FIXED(M, 8, 4K_E8000, 0x26d) \
    X86_MTRR_FIXED(M, 9, 4K_F0000, 0x26e) X86_MTRR_FIXED(M, 10, 4K_F8000, 0x26f) \
    X86_MTRR_VAR(M, 0) X86_MTRR_VAR(M, 1) X86_MTRR_VAR(M, 2) X86_MTRR_VAR(M, 3) \
    X86_MTRR_VAR(M, 4) X86_MTRR_VAR(M, 5) X86_MTRR_VAR(M, 6) X86_MTRR_VAR(M, 7) \
    M(KVM_WALL_CLOCK, 0x4b564d00, wall_clock_msr, X86_MSR_CLOCK) \
    M(KVM_SYSTEM_TIME, 0x4b564d01, system_time_msr, X86_MSR_CLOCK) \
    M(KVM_ASYNC_PF_EN, 0x4b564d02, async_pf_en_msr, X86_MSR_LAPIC) \
    M(KVM_ASYNC_PF_INT, 0x4b564d06, async_pf_int_msr, X86_MSR_LAPIC) \
    M(KVM_STEAL_TIME, 0x4b564d03, steal_time_msr, X86_MSR_PLAIN) \
    M(KVM_PV_EOI_EN, 0x4b564d04, pv_eoi_en_msr, X86_MSR_LAPIC) \
    M(KVM_POLL_CONTROL, 0x4b564d05, poll_control_msr, X86_MSR_PLAIN) \
    M(TSC_DEADLINE, 0x6e0, tsc_deadline, X86_MSR_CLOCK) \
    N(EFER, 0xc0000080) N(FS_BASE, 0xc0000100) N(GS_BASE, 0xc0000101) N(APIC_BASE, 0x1b) \
    N(X2APIC_FIRST, 0x800) N(X2APIC_LAST, 0x8ff) \
    N(XSS, 0xda0) N(KVM_WALL_CLOCK_OLD, 0x11) N(KVM_SYSTEM_TIME_OLD, 0x12)

typedef enum X86MSRKind {
    X86_MSR_PLAIN,
    /* Written at a reset only, or a pause would make the clocks of the CPUs drift apart. */
    X86_MSR_CLOCK,
    X86_MSR_LAPIC,          /* only there with the host kernel's local APICs */
} X86MSRKind;

/* MSR_EFER and so on. */
#define X86_MSR_ENUM(name, number, ...) MSR_##name = (number),
typedef enum X86MSR {
    X86_MSRS(X86_MSR_ENUM, X86_MSR_ENUM)
} X86MSR;

#endif
