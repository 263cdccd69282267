/*
 * One name for each feature bit of CPUID, and of the MSRs that tell more features.
 *
 * SDM 2A, CPUID, SDM 3D, appendix A, and SDM 4; APM 3, appendix E; Linux,
 * Documentation/virt/kvm/x86/cpuid.rst. features.h makes constants of it, cpu-features.c names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_FEATURE_LIST_H
#define TARGET_I386_FEATURE_LIST_H

/*
 * Registers of features. C(word, leaf, subleaf, register) is CPUID's. M(word, MSR, part, feature)
 * is part of an MSR that is there with the feature: its LOW or HIGH half, or of a VMX control
 * what may be 1 (ALLOWED1, the high half, with bits numbered as in the control).
 */
#define X86_FEATURE_WORDS(C, M) \
    C(1_EDX, 1, 0, EDX) C(1_ECX, 1, 0, ECX) C(7_0_EBX, 7, 0, EBX) C(7_0_ECX, 7, 0, ECX) \
    C(7_0_EDX, 7, 0, EDX) C(7_1_EAX, 7, 1, EAX) C(8000_0001_EDX, 0x80000001, 0, EDX) \
    C(8000_0001_ECX, 0x80000001, 0, ECX) C(8000_0007_EDX, 0x80000007, 0, EDX) \
    C(8000_0008_EBX, 0x80000008, 0, EBX) C(8000_000A_EDX, 0x8000000a, 0, EDX) \
    C(D_1_EAX, 0xd, 1, EAX) C(6_EAX, 6, 0, EAX) C(12_0_EAX, 0x12, 0, EAX) \
    C(12_0_EBX, 0x12, 0, EBX) C(12_1_EAX, 0x12, 1, EAX) C(14_0_ECX, 0x14, 0, ECX) \
    C(8000_0021_EAX, 0x80000021, 0, EAX) C(C000_0001_EDX, 0xc0000001, 0, EDX) \
    C(KVM, 0x40000001, 0, EAX) C(KVM_HINTS, 0x40000001, 0, EDX) \
    M(ARCH_CAPABILITIES, 0x10a, LOW, ARCH_CAPABILITIES) \
    M(CORE_CAPABILITY, 0xcf, LOW, CORE_CAPABILITY) M(PERF_CAPABILITIES, 0x345, LOW, PDCM) \
    M(VMX_BASIC, 0x480, HIGH, VMX) M(VMX_MISC, 0x485, LOW, VMX) \
    M(VMX_SECONDARY_CTLS, 0x48b, ALLOWED1, VMX) M(VMX_EPT_CAP, 0x48c, LOW, VMX) \
    M(VMX_VPID_CAP, 0x48c, HIGH, VMX) M(VMX_PINBASED_CTLS, 0x48d, ALLOWED1, VMX) \
    M(VMX_PROCBASED_CTLS, 0x48e, ALLOWED1, VMX) M(VMX_EXIT_CTLS, 0x48f, ALLOWED1, VMX) \
    M(VMX_ENTRY_CTLS, 0x490, ALLOWED1, VMX) M(VMX_VMFUNC, 0x491, LOW, VMX)

/* F(word, bit, identifier, name) for a bit that code asks for, N(word, bit, name) for others. */
#define X86_FEATURES(F, N) \
    F(1_EDX, 0, FPU, "fpu") N(1_EDX, 1, "vme") F(1_EDX, 2, DE, "de") F(1_EDX, 3, PSE, "pse") \
    F(1_EDX, 4, TSC, "tsc") F(1_EDX, 5, MSR, "msr") F(1_EDX, 6, PAE, "pae") N(1_EDX, 7, "mce") \
    F(1_EDX, 8, CX8, "cx8") F(1_EDX, 9, APIC, "apic") F(1_EDX, 11, SEP, "sep") \
    N(1_EDX, 12, "mtrr") F(1_EDX, 13, PGE, "pge") N(1_EDX, 14, "mca") F(1_EDX, 15, CMOV, "cmov") \
    F(1_EDX, 16, PAT, "pat") N(1_EDX, 17, "pse36") N(1_EDX, 18, "pn") \
    F(1_EDX, 19, CLFLUSH, "clflush") N(1_EDX, 21, "ds") N(1_EDX, 22, "acpi") \
    F(1_EDX, 23, MMX, "mmx") F(1_EDX, 24, FXSR, "fxsr") F(1_EDX, 25, SSE, "sse") \
    F(1_EDX, 26, SSE2, "sse2") N(1_EDX, 27, "ss") F(1_EDX, 28, HT, "ht") N(1_EDX, 29, "tm") \
    N(1_EDX, 30, "ia64") N(1_EDX, 31, "pbe") F(1_ECX, 0, SSE3, "pni") \
    F(1_ECX, 1, PCLMULQDQ, "pclmulqdq") N(1_ECX, 2, "dtes64") F(1_ECX, 3, MONITOR, "monitor") \
    N(1_ECX, 4, "ds-cpl") F(1_ECX, 5, VMX, "vmx") N(1_ECX, 6, "smx") N(1_ECX, 7, "est") \
    N(1_ECX, 8, "tm2") F(1_ECX, 9, SSSE3, "ssse3") N(1_ECX, 10, "cid") F(1_ECX, 12, FMA, "fma") \
    F(1_ECX, 13, CX16, "cx16") N(1_ECX, 14, "xtpr") F(1_ECX, 15, PDCM, "pdcm") \
    F(1_ECX, 17, PCID, "pcid") N(1_ECX, 18, "dca") F(1_ECX, 19, SSE4_1, "sse4.1") \
    F(1_ECX, 20, SSE4_2, "sse4.2") F(1_ECX, 21, X2APIC, "x2apic") F(1_ECX, 22, MOVBE, "movbe") \
    F(1_ECX, 23, POPCNT, "popcnt") F(1_ECX, 24, TSC_DEADLINE, "tsc-deadline") \
    F(1_ECX, 25, AES, "aes") F(1_ECX, 26, XSAVE, "xsave") F(1_ECX, 28, AVX, "avx") \
    F(1_ECX, 29, F16C, "f16c") F(1_ECX, 30, RDRAND, "rdrand") \
    F(1_ECX, 31, HYPERVISOR, "hypervisor") F(7_0_EBX, 0, FSGSBASE, "fsgsbase") \
    F(7_0_EBX, 1, TSC_ADJUST, "tsc-adjust") N(7_0_EBX, 2, "sgx") F(7_0_EBX, 3, BMI1, "bmi1") \
    N(7_0_EBX, 4, "hle") F(7_0_EBX, 5, AVX2, "avx2") F(7_0_EBX, 7, SMEP, "smep") \
    F(7_0_EBX, 8, BMI2, "bmi2") F(7_0_EBX, 9, ERMS, "erms") F(7_0_EBX, 10, INVPCID, "invpcid") \
    N(7_0_EBX, 11, "rtm") F(7_0_EBX, 14, MPX, "mpx") F(7_0_EBX, 16, AVX512F, "avx512f") \
    F(7_0_EBX, 17, AVX512DQ, "avx512dq") F(7_0_EBX, 18, RDSEED, "rdseed") \
    F(7_0_EBX, 19, ADX, "adx") F(7_0_EBX, 20, SMAP, "smap") \
    F(7_0_EBX, 21, AVX512IFMA, "avx512ifma") N(7_0_EBX, 22, "pcommit") \
    F(7_0_EBX, 23, CLFLUSHOPT, "clflushopt") N(7_0_EBX, 24, "clwb") \
    F(7_0_EBX, 25, INTEL_PT, "intel-pt") F(7_0_EBX, 26, AVX512PF, "avx512pf") \
    F(7_0_EBX, 27, AVX512ER, "avx512er") F(7_0_EBX, 28, AVX512CD, "avx512cd") \
    F(7_0_EBX, 29, SHA_NI, "sha-ni") F(7_0_EBX, 30, AVX512BW, "avx512bw") \
    F(7_0_EBX, 31, AVX512VL, "avx512vl") F(7_0_ECX, 1, AVX512VBMI, "avx512vbmi") \
    F(7_0_ECX, 2, UMIP, "umip") F(7_0_ECX, 3, PKU, "pku") N(7_0_ECX, 5, "waitpkg") \
    F(7_0_ECX, 6, AVX512VBMI2, "avx512vbmi2") N(7_0_ECX, 8, "gfni") F(7_0_ECX, 9, VAES, "vaes") \
    F(7_0_ECX, 10, VPCLMULQDQ, "vpclmulqdq") F(7_0_ECX, 11, AVX512VNNI, "avx512vnni") \
    F(7_0_ECX, 12, AVX512BITALG, "avx512bitalg") \
    F(7_0_ECX, 14, AVX512_VPOPCNTDQ, "avx512-vpopcntdq") N(7_0_ECX, 16, "la57") \
    F(7_0_ECX, 22, RDPID, "rdpid") N(7_0_ECX, 24, "bus-lock-detect") N(7_0_ECX, 25, "cldemote") \
    N(7_0_ECX, 27, "movdiri") N(7_0_ECX, 28, "movdir64b") N(7_0_ECX, 30, "sgxlc") \
    N(7_0_ECX, 31, "pks") F(7_0_EDX, 2, AVX512_4VNNIW, "avx512-4vnniw") \
    F(7_0_EDX, 3, AVX512_4FMAPS, "avx512-4fmaps") F(7_0_EDX, 4, FSRM, "fsrm") \
    F(7_0_EDX, 8, AVX512_VP2INTERSECT, "avx512-vp2intersect") N(7_0_EDX, 10, "md-clear") \
    N(7_0_EDX, 14, "serialize") N(7_0_EDX, 16, "tsx-ldtrk") N(7_0_EDX, 19, "arch-lbr") \
    F(7_0_EDX, 22, AMX_BF16, "amx-bf16") F(7_0_EDX, 23, AVX512_FP16, "avx512-fp16") \
    F(7_0_EDX, 24, AMX_TILE, "amx-tile") F(7_0_EDX, 25, AMX_INT8, "amx-int8") \
    N(7_0_EDX, 26, "spec-ctrl") N(7_0_EDX, 27, "stibp") N(7_0_EDX, 28, "flush-l1d") \
    F(7_0_EDX, 29, ARCH_CAPABILITIES, "arch-capabilities") \
    F(7_0_EDX, 30, CORE_CAPABILITY, "core-capability") N(7_0_EDX, 31, "ssbd") \
    F(7_1_EAX, 4, AVX_VNNI, "avx-vnni") F(7_1_EAX, 5, AVX512_BF16, "avx512-bf16") \
    N(7_1_EAX, 10, "fzrm") N(7_1_EAX, 11, "fsrs") N(7_1_EAX, 12, "fsrc") \
    F(7_1_EAX, 21, AMX_FP16, "amx-fp16") F(7_1_EAX, 23, AVX_IFMA, "avx-ifma") \
    F(8000_0001_EDX, 11, SYSCALL, "syscall") N(8000_0001_EDX, 19, "mp") \
    F(8000_0001_EDX, 20, NX, "nx") N(8000_0001_EDX, 22, "mmxext") \
    F(8000_0001_EDX, 25, FXSR_OPT, "fxsr-opt") F(8000_0001_EDX, 26, PDPE1GB, "pdpe1gb") \
    F(8000_0001_EDX, 27, RDTSCP, "rdtscp") F(8000_0001_EDX, 29, LM, "lm") \
    N(8000_0001_EDX, 30, "3dnowext") N(8000_0001_EDX, 31, "3dnow") \
    F(8000_0001_ECX, 0, LAHF_LM, "lahf-lm") F(8000_0001_ECX, 1, CMP_LEGACY, "cmp-legacy") \
    F(8000_0001_ECX, 2, SVM, "svm") N(8000_0001_ECX, 3, "extapic") \
    N(8000_0001_ECX, 4, "cr8legacy") F(8000_0001_ECX, 5, ABM, "abm") N(8000_0001_ECX, 6, "sse4a") \
    N(8000_0001_ECX, 7, "misalignsse") F(8000_0001_ECX, 8, 3DNOWPREFETCH, "3dnowprefetch") \
    N(8000_0001_ECX, 9, "osvw") N(8000_0001_ECX, 10, "ibs") F(8000_0001_ECX, 11, XOP, "xop") \
    N(8000_0001_ECX, 12, "skinit") N(8000_0001_ECX, 13, "wdt") N(8000_0001_ECX, 15, "lwp") \
    F(8000_0001_ECX, 16, FMA4, "fma4") N(8000_0001_ECX, 17, "tce") \
    N(8000_0001_ECX, 19, "nodeid-msr") N(8000_0001_ECX, 21, "tbm") \
    F(8000_0001_ECX, 22, TOPOEXT, "topoext") F(8000_0001_ECX, 23, PERFCTR_CORE, "perfctr-core") \
    N(8000_0001_ECX, 24, "perfctr-nb") F(8000_0007_EDX, 8, INVTSC, "invtsc") \
    N(8000_0008_EBX, 0, "clzero") N(8000_0008_EBX, 2, "xsaveerptr") \
    N(8000_0008_EBX, 9, "wbnoinvd") N(8000_0008_EBX, 12, "ibpb") N(8000_0008_EBX, 14, "ibrs") \
    N(8000_0008_EBX, 15, "amd-stibp") N(8000_0008_EBX, 24, "amd-ssbd") \
    N(8000_0008_EBX, 25, "virt-ssbd") F(8000_0008_EBX, 26, AMD_NO_SSB, "amd-no-ssb") \
    N(8000_000A_EDX, 0, "npt") N(8000_000A_EDX, 1, "lbrv") N(8000_000A_EDX, 2, "svm-lock") \
    N(8000_000A_EDX, 3, "nrip-save") N(8000_000A_EDX, 4, "tsc-scale") \
    N(8000_000A_EDX, 5, "vmcb-clean") N(8000_000A_EDX, 6, "flushbyasid") \
    N(8000_000A_EDX, 7, "decodeassists") N(8000_000A_EDX, 10, "pause-filter") \
    N(8000_000A_EDX, 12, "pfthreshold") N(8000_000A_EDX, 13, "avic") \
    N(8000_000A_EDX, 15, "v-vmsave-vmload") N(8000_000A_EDX, 16, "vgif") \
    N(8000_000A_EDX, 28, "svme-addr-chk") F(D_1_EAX, 0, XSAVEOPT, "xsaveopt") \
    F(D_1_EAX, 1, XSAVEC, "xsavec") F(D_1_EAX, 2, XGETBV1, "xgetbv1") \
    F(D_1_EAX, 3, XSAVES, "xsaves") F(D_1_EAX, 4, XFD, "xfd") F(6_EAX, 2, ARAT, "arat") \
    N(12_0_EAX, 0, "sgx1") N(12_0_EAX, 1, "sgx2") N(12_0_EBX, 0, "sgx-exinfo") \
    N(12_1_EAX, 1, "sgx-debug") N(12_1_EAX, 2, "sgx-mode64") N(12_1_EAX, 4, "sgx-provisionkey") \
    N(12_1_EAX, 5, "sgx-tokenkey") N(12_1_EAX, 7, "sgx-kss") \
    F(14_0_ECX, 31, INTEL_PT_LIP, "intel-pt-lip") N(8000_0021_EAX, 0, "no-nested-data-bp") \
    F(8000_0021_EAX, 2, LFENCE_ALWAYS_SERIALIZING, "lfence-always-serializing") \
    F(8000_0021_EAX, 6, NULL_SEL_CLR_BASE, "null-sel-clr-base") \
    F(8000_0021_EAX, 8, AUTO_IBRS, "auto-ibrs") N(C000_0001_EDX, 2, "xstore") \
    N(C000_0001_EDX, 3, "xstore-en") N(C000_0001_EDX, 6, "xcrypt") \
    N(C000_0001_EDX, 7, "xcrypt-en") N(C000_0001_EDX, 8, "ace2") N(C000_0001_EDX, 9, "ace2-en") \
    N(C000_0001_EDX, 10, "phe") N(C000_0001_EDX, 11, "phe-en") N(C000_0001_EDX, 12, "pmm") \
    N(C000_0001_EDX, 13, "pmm-en") F(KVM, 0, KVMCLOCK, "kvmclock") \
    F(KVM, 1, KVM_NOPIODELAY, "kvm-nopiodelay") N(KVM, 2, "kvm-mmu") \
    F(KVM, 3, KVMCLOCK2, "kvmclock") F(KVM, 4, KVM_ASYNCPF, "kvm-asyncpf") \
    F(KVM, 5, KVM_STEAL_TIME, "kvm-steal-time") F(KVM, 6, KVM_PV_EOI, "kvm-pv-eoi") \
    F(KVM, 7, KVM_PV_UNHALT, "kvm-pv-unhalt") F(KVM, 9, KVM_PV_TLB_FLUSH, "kvm-pv-tlb-flush") \
    F(KVM, 10, KVM_ASYNCPF_VMEXIT, "kvm-asyncpf-vmexit") F(KVM, 11, KVM_PV_IPI, "kvm-pv-ipi") \
    F(KVM, 12, KVM_POLL_CONTROL, "kvm-poll-control") \
    F(KVM, 13, KVM_PV_SCHED_YIELD, "kvm-pv-sched-yield") \
    F(KVM, 14, KVM_ASYNCPF_INT, "kvm-asyncpf-int") \
    F(KVM, 15, KVM_MSI_EXT_DEST_ID, "kvm-msi-ext-dest-id") \
    F(KVM, 24, KVMCLOCK_STABLE_BIT, "kvmclock-stable-bit") \
    F(KVM_HINTS, 0, KVM_HINT_DEDICATED, "kvm-hint-dedicated") N(ARCH_CAPABILITIES, 0, "rdctl-no") \
    N(ARCH_CAPABILITIES, 1, "ibrs-all") N(ARCH_CAPABILITIES, 2, "rsba") \
    N(ARCH_CAPABILITIES, 3, "skip-l1dfl-vmentry") N(ARCH_CAPABILITIES, 4, "ssb-no") \
    N(ARCH_CAPABILITIES, 5, "mds-no") N(ARCH_CAPABILITIES, 6, "pschange-mc-no") \
    N(ARCH_CAPABILITIES, 7, "tsx-ctrl") N(ARCH_CAPABILITIES, 8, "taa-no") \
    N(CORE_CAPABILITY, 5, "split-lock-detect") N(PERF_CAPABILITIES, 13, "full-width-write") \
    N(VMX_BASIC, 22, "vmx-ins-outs") N(VMX_BASIC, 23, "vmx-true-ctls") \
    N(VMX_MISC, 5, "vmx-store-lma") N(VMX_MISC, 6, "vmx-activity-hlt") \
    N(VMX_MISC, 7, "vmx-activity-shutdown") N(VMX_MISC, 8, "vmx-activity-wait-sipi") \
    N(VMX_MISC, 29, "vmx-vmwrite-vmexit-fields") N(VMX_MISC, 30, "vmx-zero-len-inject") \
    N(VMX_SECONDARY_CTLS, 0, "vmx-apicv-xapic") N(VMX_SECONDARY_CTLS, 1, "vmx-ept") \
    N(VMX_SECONDARY_CTLS, 2, "vmx-desc-exit") N(VMX_SECONDARY_CTLS, 3, "vmx-rdtscp-exit") \
    N(VMX_SECONDARY_CTLS, 4, "vmx-apicv-x2apic") N(VMX_SECONDARY_CTLS, 5, "vmx-vpid") \
    N(VMX_SECONDARY_CTLS, 6, "vmx-wbinvd-exit") \
    N(VMX_SECONDARY_CTLS, 7, "vmx-unrestricted-guest") \
    N(VMX_SECONDARY_CTLS, 8, "vmx-apicv-register") N(VMX_SECONDARY_CTLS, 9, "vmx-apicv-vid") \
    N(VMX_SECONDARY_CTLS, 10, "vmx-ple") N(VMX_SECONDARY_CTLS, 11, "vmx-rdrand-exit") \
    N(VMX_SECONDARY_CTLS, 12, "vmx-invpcid-exit") N(VMX_SECONDARY_CTLS, 13, "vmx-vmfunc") \
    N(VMX_SECONDARY_CTLS, 14, "vmx-shadow-vmcs") N(VMX_SECONDARY_CTLS, 15, "vmx-encls-exit") \
    N(VMX_SECONDARY_CTLS, 16, "vmx-rdseed-exit") N(VMX_SECONDARY_CTLS, 17, "vmx-pml") \
    N(VMX_SECONDARY_CTLS, 20, "vmx-xsaves") N(VMX_SECONDARY_CTLS, 25, "vmx-tsc-scaling") \
    N(VMX_EPT_CAP, 0, "vmx-ept-execonly") N(VMX_EPT_CAP, 6, "vmx-page-walk-4") \
    N(VMX_EPT_CAP, 7, "vmx-page-walk-5") N(VMX_EPT_CAP, 16, "vmx-ept-2mb") \
    N(VMX_EPT_CAP, 17, "vmx-ept-1gb") N(VMX_EPT_CAP, 20, "vmx-invept") \
    N(VMX_EPT_CAP, 21, "vmx-eptad") N(VMX_EPT_CAP, 22, "vmx-ept-advanced-exitinfo") \
    N(VMX_EPT_CAP, 25, "vmx-invept-single-context") N(VMX_EPT_CAP, 26, "vmx-invept-all-context") \
    N(VMX_VPID_CAP, 0, "vmx-invvpid") N(VMX_VPID_CAP, 8, "vmx-invvpid-single-addr") \
    N(VMX_VPID_CAP, 9, "vmx-invept-single-context") \
    N(VMX_VPID_CAP, 10, "vmx-invvpid-all-context") \
    N(VMX_VPID_CAP, 11, "vmx-invept-single-context-noglobals") \
    N(VMX_PINBASED_CTLS, 0, "vmx-intr-exit") N(VMX_PINBASED_CTLS, 3, "vmx-nmi-exit") \
    N(VMX_PINBASED_CTLS, 5, "vmx-vnmi") N(VMX_PINBASED_CTLS, 6, "vmx-preemption-timer") \
    N(VMX_PINBASED_CTLS, 7, "vmx-posted-intr") N(VMX_PROCBASED_CTLS, 2, "vmx-vintr-pending") \
    N(VMX_PROCBASED_CTLS, 3, "vmx-tsc-offset") N(VMX_PROCBASED_CTLS, 7, "vmx-hlt-exit") \
    N(VMX_PROCBASED_CTLS, 9, "vmx-invlpg-exit") N(VMX_PROCBASED_CTLS, 10, "vmx-mwait-exit") \
    N(VMX_PROCBASED_CTLS, 11, "vmx-rdpmc-exit") N(VMX_PROCBASED_CTLS, 12, "vmx-rdtsc-exit") \
    N(VMX_PROCBASED_CTLS, 15, "vmx-cr3-load-noexit") \
    N(VMX_PROCBASED_CTLS, 16, "vmx-cr3-store-noexit") \
    N(VMX_PROCBASED_CTLS, 19, "vmx-cr8-load-exit") \
    N(VMX_PROCBASED_CTLS, 20, "vmx-cr8-store-exit") N(VMX_PROCBASED_CTLS, 21, "vmx-flexpriority") \
    N(VMX_PROCBASED_CTLS, 22, "vmx-vnmi-pending") N(VMX_PROCBASED_CTLS, 23, "vmx-movdr-exit") \
    N(VMX_PROCBASED_CTLS, 24, "vmx-io-exit") N(VMX_PROCBASED_CTLS, 25, "vmx-io-bitmap") \
    N(VMX_PROCBASED_CTLS, 27, "vmx-mtf") N(VMX_PROCBASED_CTLS, 28, "vmx-msr-bitmap") \
    N(VMX_PROCBASED_CTLS, 29, "vmx-monitor-exit") N(VMX_PROCBASED_CTLS, 30, "vmx-pause-exit") \
    N(VMX_PROCBASED_CTLS, 31, "vmx-secondary-ctls") \
    N(VMX_EXIT_CTLS, 2, "vmx-exit-nosave-debugctl") \
    N(VMX_EXIT_CTLS, 12, "vmx-exit-load-perf-global-ctrl") \
    N(VMX_EXIT_CTLS, 15, "vmx-exit-ack-intr") N(VMX_EXIT_CTLS, 18, "vmx-exit-save-pat") \
    N(VMX_EXIT_CTLS, 19, "vmx-exit-load-pat") N(VMX_EXIT_CTLS, 20, "vmx-exit-save-efer") \
    N(VMX_EXIT_CTLS, 21, "vmx-exit-load-efer") \
    N(VMX_EXIT_CTLS, 22, "vmx-exit-save-preemption-timer") \
    N(VMX_EXIT_CTLS, 23, "vmx-exit-clear-bndcfgs") \
    N(VMX_EXIT_CTLS, 25, "vmx-exit-clear-rtit-ctl") N(VMX_EXIT_CTLS, 29, "vmx-exit-load-pkrs") \
    N(VMX_ENTRY_CTLS, 2, "vmx-entry-noload-debugctl") \
    N(VMX_ENTRY_CTLS, 9, "vmx-entry-ia32e-mode") \
    N(VMX_ENTRY_CTLS, 13, "vmx-entry-load-perf-global-ctrl") \
    N(VMX_ENTRY_CTLS, 14, "vmx-entry-load-pat") N(VMX_ENTRY_CTLS, 15, "vmx-entry-load-efer") \
    N(VMX_ENTRY_CTLS, 16, "vmx-entry-load-bndcfgs") \
    N(VMX_ENTRY_CTLS, 18, "vmx-entry-load-rtit-ctl") N(VMX_ENTRY_CTLS, 22, "vmx-entry-load-pkrs") \
    N(VMX_VMFUNC, 0, "vmx-eptp-switching")

#endif
