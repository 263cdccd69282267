/*
 * The 32-bit test guest's start (PVH, without paging), its entry from exceptions, and the
 * way out of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
    .section .note.GNU-stack, "", @progbits
    .section .note.pvh, "a", @note
    .long 4, 4, 18                  /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long _start

    .text
    .globl _start
_start:
    mov $stack_end, %esp
    call guest_main
1:  hlt
    jmp 1b

/* int guarded(void (*fn)(u32), u32 arg): the vector that ended fn, or -1. */
    .globl guarded, guarded_out
guarded:
    push %ebx
    push %ebp
    push %esi
    push %edi
    pushl guarded_sp
    mov 24(%esp), %eax
    mov 28(%esp), %ecx
    mov %esp, guarded_sp
    push %ecx
    call *%eax
    mov $-1, %eax
guarded_out:                        /* eax: the vector */
    mov guarded_sp, %esp
    popl guarded_sp
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    pushl $2
    popfl
    ret

/* 256 stubs of 16 bytes each: an error code (or 0), the vector, the rest. */
    .globl trap_stubs
    .balign 16
trap_stubs:
    vec = 0
    .rept 256
    .balign 16
    .if vec != 8 && (vec < 10 || vec > 14) && vec != 17
    pushl $0
    .endif
    pushl $vec
    jmp trap_common
    vec = vec + 1
    .endr

trap_common:
    pusha
    mov %ds, %eax
    mov %eax, %ss:trap_ds
    mov %gs, %eax
    mov %eax, %ss:trap_gs
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    cld
    push %esp
    call on_trap                    /* does not come back */

/* void vm86_enter(const u32 frame[9]): IRET with it. */
    .globl vm86_enter
vm86_enter:
    mov 4(%esp), %esp
    mov $0x1111, %eax
    mov $0x2222, %ebx
    iretl

    .globl guarded_sp, trap_ds, trap_gs
    .bss
guarded_sp: .space 4
trap_ds:    .space 4
trap_gs:    .space 4
    .balign 16
    .space 8192
stack_end:
