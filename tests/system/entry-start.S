/*
 * entry-guest's three entries: Linux' 64-bit one, PVH, Multiboot; and what C cannot say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
    .section .note.GNU-stack, "", @progbits
    /* Xen, public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY. */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad pvh_entry

    /* Multiboot 0.6.96, 3.1.1: modules page-aligned, memory information. Early in the file. */
    .text
    .balign 4
    .long 0x1badb002, 3, -(0x1badb002 + 3)

    .globl linux_entry
linux_entry:                        /* on the stack that is there, as Nanos does */
    mov $1, %edi
    lea 8(%rsp), %rdx
    pushfq
    pop %rcx
    call guest_main
1:  hlt
    jmp 1b

    .code32
    .globl multiboot_entry
pvh_entry:
    mov $2, %edi
    jmp to_long_mode
multiboot_entry:
    mov $3, %edi
    cmp $0x2badb002, %eax
    je to_long_mode
    mov $4, %edi
/*
 * Page tables in the three pages below the kernel: nobody else's, as Nanos has it. They map the
 * 2 MiB that the information is in and those of the kernel, and nothing besides.
 */
to_long_mode:
    mov $stack_end, %esp
    pushf
    pop %ebp                        /* EFLAGS at the entry, for C */
    mov %ebx, %esi
    mov $0x1ff000, %eax
    mov $0x1fe000, %ecx
    mov $0x1fd000, %edx
    lea 3(%ecx), %ebx
    mov %ebx, (%eax)
    movl $0, 4(%eax)
    lea 3(%edx), %ebx
    mov %ebx, (%ecx)
    movl $0, 4(%ecx)
    mov %esi, %ebx
    shr $21, %ebx
    shl $3, %ebx
    mov %esi, %ecx
    and $0xffe00000, %ecx
    or $0x83, %ecx
    mov %ecx, (%edx, %ebx)
    movl $0, 4(%edx, %ebx)
    movl $0x200083, 8(%edx)
    movl $0, 12(%edx)
    mov %eax, %cr3
    mov $0x20, %eax                 /* PAE */
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax                 /* LME */
    wrmsr
    mov %cr0, %eax
    mov %eax, cr0_before
    or $0x80000000, %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $1f
    .code64
1:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %esi, %esi
    xor %edx, %edx
    mov %ebp, %ecx
    call guest_main
1:  hlt
    jmp 1b

    .globl load_segments
load_segments:                      /* of our own, before the first interrupt */
    lgdt gdt_pointer(%rip)
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    pop %rax
    pushq $8
    push %rax
    lretq

    .globl irq_entry
irq_entry:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    cld
    call on_irq
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    iretq

    .data
    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .quad gdt
    .globl cr0_before
cr0_before:
    .long 0

    .bss
    .balign 16
    .skip 8192
stack_end:
