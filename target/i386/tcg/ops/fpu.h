/*
 * x87, MMX and SSE state of the software CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_FPU_H
#define TARGET_I386_TCG_FPU_H

#include "target/i386/tcg/tcg-cpu.h"

/* The 512-byte image of FXSAVE64 (SDM 1, 10.5); MXCSR must be loaded or not. */
void tcg_fxsave_image(TCGCPU *c, uint8_t *image);
void tcg_fxrstor_image(TCGCPU *c, const uint8_t *image);

#endif
