/*
 * crowd-guest's further processors, from real mode to C. Linked with entry-start.S.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
    .section .note.GNU-stack, "", @progbits

    .text
    .code16
    .globl ap_start, ap_cr3, ap_end
ap_start:                           /* a copy, at the page that a SIPI names */
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl ap_gdt_pointer - ap_start
    mov ap_cr3 - ap_start, %eax
    mov %eax, %cr3
    mov $0x20, %eax                 /* PAE */
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax                 /* LME */
    wrmsr
    mov %cr0, %eax
    or $0x80000001, %eax
    mov %eax, %cr0
    ljmpl $8, $ap_long
    .balign 4
ap_gdt_pointer:
    .word ap_gdt_end - ap_gdt - 1
    .long ap_gdt
ap_cr3:
    .long 0
ap_end:

    .code64
ap_long:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $1, %esp
    lock xadd %esp, ap_stacks_taken
    inc %esp
    shl $10, %esp
    add $ap_stacks, %esp
    call ap_main
1:  sti
    hlt
    jmp 1b

    .data
    .balign 8
ap_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
ap_gdt_end:
ap_stacks_taken:
    .long 0

    .bss
    .balign 16
ap_stacks:
    .skip CPUS * 1024
