/*
 * The test guest's start, its entry from exceptions, and the way out of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
    .section .note.GNU-stack, "", @progbits
    .text
    .globl _start
_start:                             /* Linux, boot.rst: the 64-bit entry */
    lea boot_stack_end(%rip), %rsp
    xor %ebp, %ebp
    mov %rsi, boot_params(%rip)
    call guest_main
1:  hlt
    jmp 1b

/*
 * int guarded(void (*fn)(uint64_t), uint64_t arg): the vector of the exception
 * that ended fn, or -1.
 */
    .globl guarded, guarded_out
guarded:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushq guarded_sp(%rip)
    mov %rsp, guarded_sp(%rip)
    mov %rdi, %rax
    mov %rsi, %rdi
    call *%rax
    mov $-1, %edi
guarded_out:                        /* edi: the vector */
    mov guarded_sp(%rip), %rsp
    mov %edi, %eax
    mov $0x10, %ecx
    mov %ecx, %ss
    popq guarded_sp(%rip)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pushq $2
    popfq
    ret

/* 256 stubs of 16 bytes each: an error code (or 0), the vector, the rest. */
    .globl trap_stubs
    .balign 16
trap_stubs:
    vec = 0
    .rept 256
    .balign 16
    .if vec != 8 && (vec < 10 || vec > 14) && vec != 17 && vec != 21
    pushq $0
    .endif
    pushq $vec
    jmp trap_common
    vec = vec + 1
    .endr

trap_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    cld
    call on_trap
    mov %rbx, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

/* void enter(uint64_t rip, uint64_t cs, uint64_t ss, uint64_t rsp, uint64_t flags) */
    .globl enter
enter:
    push %rdx
    push %rcx
    push %r8
    push %rsi
    push %rdi
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    iretq

/* Another processor starts here, in real mode, at SIPI's page. */
    .globl ap_start, ap_end, ap_cr3, ap_stack
    .balign 16
ap_start:
    .code16
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl ap_gdt_ptr - ap_start
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl *(ap_far - ap_start)
    .code32
ap_32:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $0x20, %eax                 /* PAE */
    mov %eax, %cr4
    mov AP_PAGE + (ap_cr3 - ap_start), %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax                 /* SCE, LME, NXE */
    wrmsr
    mov $0x80010033, %eax           /* PG, WP, NE, ET, MP, PE */
    mov %eax, %cr0
    ljmp $0x18, $AP_PAGE + (ap_64 - ap_start)
    .code64
ap_64:
    mov $-4096, %rsp                /* each takes a page of the stack's memory */
    lock xadd %rsp, AP_PAGE + (ap_stack - ap_start)
    mov $ap_main, %rax
    call *%rax
1:  cli
    hlt
    jmp 1b
    .balign 8
ap_gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
ap_gdt_ptr:
    .word ap_gdt_ptr - ap_gdt - 1
    .long AP_PAGE + (ap_gdt - ap_start)
    .balign 8
ap_far:
    .long AP_PAGE + (ap_32 - ap_start)
    .word 8
    .balign 8
ap_cr3:
    .quad 0
ap_stack:
    .quad 0
ap_end:
    .set AP_PAGE, 0x10000

    .bss
    .globl guarded_sp, boot_params
    .balign 16
guarded_sp:
    .quad 0
boot_params:
    .quad 0
    .balign 16
    .skip 16384
boot_stack_end:
