/*
 * x87, MMX and SSE state of the software CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_FPU_H
#define TARGET_I386_TCG_FPU_H

#include "target/i386/tcg/tcg-cpu.h"

#define MXCSR_MASK 0xffffu      /* the bits there are */

/* The 512-byte image of FXSAVE64 (SDM 1, 10.5); MXCSR must be loaded or not. */
void tcg_fxsave_image(TCGCPU *c, uint8_t *image);
void tcg_fxrstor_image(TCGCPU *c, const uint8_t *image);


/* The x87 part of it, at m; wide: with pointers as the 64-bit form has them. */
void tcg_save_x87(TCGCPU *c, uint8_t *m, bool wide);
void tcg_restore_x87(TCGCPU *c, const uint8_t *m);
/* MXCSR with the flags that the host has gathered; and loaded into the host. */
uint32_t tcg_get_mxcsr(TCGCPU *c);
void tcg_set_mxcsr(TCGCPU *c, uint32_t v);
/*
 * Before the area of an instruction that saves or restores the FPU is touched; off: bits of
 * CR0. Raises #NM, #GP.
 */
void tcg_check_area(TCGCPU *c, const X86Op *op, uint64_t addr, unsigned align, uint64_t off);
/* Of XMM registers, or upper halves, that this code can save. */
static inline unsigned xmm_bytes(const X86Op *op)
{
    return op->flags & OF_C64 ? 256 : 128;
}

/* xsave.c ------------------------------------------------------------------ */
/* Where components are in the standard form, and their bytes. */
enum {
    XSAVE_HEADER = 512, XSAVE_AVX = 576, XSAVE_AVX_SIZE = 256, XSAVE_PKRU = 832,
    XSAVE_PKRU_SIZE = 8, XSAVE_END = 840,
};
/* The bits that XCR0 may have. */
uint64_t tcg_xcr0_mask(const TCGCPU *c);
/* Those of components that are not as at the beginning. */
uint64_t tcg_xinuse(const TCGCPU *c);
/* Bytes of an area with these components, in the standard and in the compacted form. */
unsigned tcg_xsave_size(uint64_t components);
unsigned tcg_xsavec_size(uint64_t components);

#endif
