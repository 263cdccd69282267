/*
 * The registers with which CPU 0 enters a kernel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/i386/microvm.h"
#include "hw/i386/x86-boot-internal.h"
#include "sysemu/cpus.h"

#define FLAT_LIMIT      0xffffffffu
#define ATTR_CODE       (0xbu | DESC_S | DESC_P | DESC_G)   /* execute, read */
#define ATTR_DATA       (0x3u | DESC_S | DESC_P | DESC_G | DESC_DB)
#define ATTR_BUSY_TSS   (0xbu | DESC_P)
#define TSS_LIMIT       0x67
#define EFLAGS_FIXED    0x2             /* bit 1 is always set */
#define MULTIBOOT_LOADER_MAGIC 0x2badb002

static void set_flat_segments(CPUX86State *env, uint16_t code_attr)
{
    SegmentCache data = {
        .selector = X86_BOOT_DS, .attr = ATTR_DATA, .limit = FLAT_LIMIT,
    };

    for (unsigned i = 0; i < CPU_NB_SEGS; i++) {
        env->segs[i] = data;
    }
    env->segs[R_CS] = (SegmentCache) {
        .selector = X86_BOOT_CS, .attr = code_attr, .limit = FLAT_LIMIT,
    };
    env->tr = (SegmentCache) { .attr = ATTR_BUSY_TSS, .limit = TSS_LIMIT };
}

/*
 * Linux, boot.rst, "64-bit boot protocol": long mode, identity mapping,
 * interrupts off, RSI holds boot_params.
 */
static void enter_linux64(CPUX86State *env, const X86BootState *boot)
{
    set_flat_segments(env, ATTR_CODE | DESC_L);
    env->gdt.base = BOOT_GDT_START;
    env->gdt.limit = X86_BOOT_GDT_SIZE - 1;
    env->cr[0] = CR0_PE | CR0_ET | CR0_PG;
    env->cr[3] = boot->cr3;
    env->cr[4] = CR4_PAE;
    env->efer = EFER_LME | EFER_LMA;
    env->regs[R_ESI] = boot->info;
    env->regs[R_ESP] = boot->rsp;
}

/*
 * 32-bit protected mode without paging. PVH and Multiboot promise no stack, but kernels do
 * call before they have one.
 */
static void enter_flat32(CPUX86State *env, const X86BootState *boot)
{
    set_flat_segments(env, ATTR_CODE | DESC_DB);
    env->cr[0] = CR0_PE | CR0_ET;
    env->cr[4] = 0;
    env->efer = 0;
    env->regs[R_ESP] = boot->rsp;
}

/* Linux, boot.rst, "32-bit boot protocol": ESI holds boot_params. */
static void enter_linux32(CPUX86State *env, const X86BootState *boot)
{
    enter_flat32(env, boot);
    env->gdt.base = BOOT_GDT_START;
    env->gdt.limit = X86_BOOT_GDT_SIZE - 1;
    env->regs[R_ESI] = boot->info;
}

/* Xen, pvh.pandoc: EBX holds hvm_start_info. */
static void enter_pvh(CPUX86State *env, const X86BootState *boot)
{
    enter_flat32(env, boot);
    env->regs[R_EBX] = boot->info;
}

/* Multiboot 0.6.96, 3.2: EAX holds the loader's magic, EBX the information. */
static void enter_multiboot(CPUX86State *env, const X86BootState *boot)
{
    enter_flat32(env, boot);
    env->regs[R_EAX] = MULTIBOOT_LOADER_MAGIC;
    env->regs[R_EBX] = boot->info;
}

void x86_boot_cpu(X86CPU *cpu, const X86BootState *boot)
{
    static void (*const enter[])(CPUX86State *env, const X86BootState *boot) = {
        [X86_BOOT_LINUX64] = enter_linux64,
        [X86_BOOT_PVH] = enter_pvh,
        [X86_BOOT_LINUX32] = enter_linux32,
        [X86_BOOT_MULTIBOOT] = enter_multiboot,
    };
    CPUX86State *env = &cpu->env;

    if (boot->protocol == X86_BOOT_NONE) {
        return;
    }
    for (unsigned i = 0; i < CPU_NB_REGS; i++) {
        env->regs[i] = 0;
    }
    env->eip = boot->entry;
    env->eflags = EFLAGS_FIXED;
    enter[boot->protocol](env, boot);
    cpu_set_dirty(&cpu->cs);
}
