/*
 * From bytes to a block's instructions, in one page or across two.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/block-decode.h"

#include <string.h>

#include "target/i386/tcg/block.h"
#include "target/i386/tcg/decode/optabs.h"
#include "target/i386/tcg/mem/mmu.h"

void tcg_op_end_init(X86Op *op, unsigned off, unsigned nr, X86CodeSize mode)
{
    memset(op, 0, sizeof(*op));
    op->fn = op_block_end;
    op->id = TCG_ID_END;
    op->off = off;
    op->reg = nr;
    op->size = 3;
    op->flags = mode == CODE64 ? OF_C64 : mode == CODE16 ? OF_C16 : 0;
    if (mode != CODE64) {
        op->size = 2;
    }
    if (off < TCG_PAGE_SIZE && mode != CODE16) {
        op->flags |= OF_INPAGE;
    }
}

unsigned tcg_decode_run(const uint8_t *host, unsigned off, X86CodeSize mode,
                        X86Op *ops, unsigned *end)
{
    unsigned n = 0;

    while (n < TCG_BLOCK_OPS && off < TCG_PAGE_SIZE) {
        int attr = x86_decode(host + off, TCG_PAGE_SIZE - off, mode, off,
                              &ops[n]);

        if (attr < 0) {
            break;              /* goes on in the next page: its own block */
        }
        off += ops[n++].len;
        if (attr & D_END) {
            break;
        }
    }
    *end = off;
    return n;
}

void tcg_decode_crossing(TCGCPU *c, uint64_t lin, X86Op *op,
                         uint64_t *page2, const uint8_t **host2)
{
    uint8_t buf[X86_INSN_MAX];
    unsigned n = 0, off = lin & 0xfff;
    const uint8_t *host;

    *page2 = TCG_NO_PAGE;
    do {
        uint64_t a = lin + n, pa;

        if (!(c->efer & EFER_LMA)) {
            a = (uint32_t)a;
        }
        pa = tcg_code_page(c, a, &host);
        if (n && !(a & 0xfff)) {
            *page2 = pa & TCG_PAGE_MASK;
            *host2 = host;
        }
        buf[n++] = host ? host[a & 0xfff] : (uint8_t)tcg_io_read(c, pa, 1);
    } while (x86_decode(buf, n, c->code_size, off, op) < 0);
}

unsigned tcg_decode_pair(const uint8_t *host, const uint8_t *host2, unsigned off,
                         X86CodeSize mode, X86Op *op, unsigned *end)
{
    unsigned first = TCG_PAGE_SIZE - off;
    uint8_t buf[X86_INSN_MAX];

    if (first >= sizeof(buf)) {
        return 0;
    }
    memcpy(buf, host + off, first);
    memcpy(buf + first, host2, sizeof(buf) - first);
    if (x86_decode(buf, sizeof(buf), mode, off, op) < 0) {
        return 0;
    }
    *end = off + op->len;
    return *end > TCG_PAGE_SIZE;
}

const X86Op *tcg_single_find(TCGCPU *c)
{
    uint64_t page2, lin = tcg_code_address(c);
    const uint8_t *host2;

    tcg_decode_crossing(c, lin, &c->tmp_ops[0], &page2, &host2);
    tcg_op_end_init(&c->tmp_ops[1], c->tmp_ops[0].off + c->tmp_ops[0].len, 0,
                c->code_size);
    c->tmp_ops[1].fn = op_dead;
    /* Its links must not be made: it is gone with the next one. */
    c->tmp_ops[0].flags &= ~OF_INPAGE;
    c->regs[R_PAGE] = c->eip - (lin & 0xfff);
    return &c->tmp_ops[0];
}
