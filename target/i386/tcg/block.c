/*
 * The cache of decoded blocks.
 *
 * A block runs on past conditional branches and ends at unconditional ones, at
 * the end of its page or when it is long. Branches within a page are linked
 * directly, all others go through the per-vCPU jump cache, whose tags change
 * with every flush of translations. A block dies by having each of its ops
 * point to op_dead, which leaves for the loop with an exact RIP: whoever is in
 * the block, or still has a pointer to it, notices at the next instruction. Memory
 * is only reused after all vCPUs have been stopped.
 *
 * Who writes to code: vCPUs by the slow path, as pages that hold code never get
 * a TLB entry for writing. Devices write behind our back; so each time a page of
 * code is translated anew its decoded bytes are compared by checksum. (A
 * system that lets a device write over code maps it afterwards, or flushes.)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <sys/mman.h>

#include "target/i386/tcg/block.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/ops/ops-fast.h"
#include "target/i386/tcg/ops/ops.h"

#define HASH_BITS 15
#define HASH_SIZE (1u << HASH_BITS)
#define MAX_OPS 32
#define END_ID 0xffff       /* X86Op.id of the op that ends a block */

struct TCGBlock {
    uint64_t key;           /* pa << 2 | code size */
    uint64_t page2;         /* pa of a second page, or TCG_NO_PAGE */
    TCGBlock *next_hash;
    TCGBlock *next_in_page[2];
    uint16_t nr_ops;        /* with the end */
    bool dead;
    X86Op ops[];
};

struct TCGPage {
    uint64_t pa;
    uint64_t granules;      /* bit n: 64 bytes at 64 n hold decoded code */
    uint64_t sum;           /* over these */
    TCGBlock *blocks;
    TCGPage *next;
};

static unsigned hash_of(uint64_t v)
{
    return (v * 0x9e3779b97f4a7c15ull) >> (64 - HASH_BITS);
}

TCGState *tcg_state_new(uint64_t ram_top, size_t arena_size)
{
    TCGState *s = g_new0(TCGState, 1);
    void *m;

    s->nr_pages = (ram_top + TCG_PAGE_SIZE - 1) >> TCG_PAGE_BITS;
    m = mmap(NULL, arena_size + 2 * s->nr_pages + TCG_PAGE_SIZE,
             PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) {
        g_free(s);
        return NULL;
    }
    tcg_fast_init();
    s->arena = m;
    s->arena_size = arena_size;
    s->writer = s->arena + arena_size;
    s->has_code = s->writer + s->nr_pages;
    s->hash = g_new0(TCGBlock *, HASH_SIZE);
    s->pages = g_new0(TCGPage *, HASH_SIZE);
    g_mutex_init(&s->lock);
    g_mutex_init(&s->run_lock);
    g_cond_init(&s->run_cond);
    return s;
}

static void free_pages(TCGState *s)
{
    for (unsigned i = 0; i < HASH_SIZE; i++) {
        while (s->pages[i]) {
            TCGPage *p = s->pages[i];

            s->pages[i] = p->next;
            s->has_code[p->pa >> TCG_PAGE_BITS] = 0;
            g_free(p);
        }
    }
}

void tcg_state_free(TCGState *s)
{
    free_pages(s);
    munmap(s->arena, s->arena_size + 2 * s->nr_pages + TCG_PAGE_SIZE);
    g_mutex_clear(&s->lock);
    g_mutex_clear(&s->run_lock);
    g_cond_clear(&s->run_cond);
    g_free(s->hash);
    g_free(s->pages);
    g_free(s);
}

static TCGPage *page_find(TCGState *s, uint64_t pa)
{
    TCGPage *p = s->pages[hash_of(pa)];

    while (p && p->pa != pa) {
        p = p->next;
    }
    return p;
}

/* Checksum of the granules of a page that hold code. */
static uint64_t page_sum(uint64_t granules, const uint8_t *host)
{
    uint64_t sum = granules;

    while (granules) {
        const un64 *q = (const un64 *)(host + 64 * __builtin_ctzll(granules));

        for (unsigned i = 0; i < 8; i++) {
            sum = (sum ^ q[i].v) * 0x9e3779b97f4a7c15ull;
            sum ^= sum >> 29;
        }
        granules &= granules - 1;
    }
    return sum;
}

/* Take b out of everything and turn its ops into exits. */
static void block_kill(TCGState *s, TCGBlock *b)
{
    TCGBlock **q = &s->hash[hash_of(b->key)];

    if (b->dead) {
        return;
    }
    b->dead = true;
    while (*q && *q != b) {
        q = &(*q)->next_hash;
    }
    if (*q) {
        __atomic_store_n(q, b->next_hash, __ATOMIC_RELEASE);
    }
    for (unsigned i = 0; i < b->nr_ops; i++) {
        __atomic_store_n(&b->ops[i].fn, op_dead, __ATOMIC_RELEASE);
    }
}

static TCGBlock **next_link(TCGBlock *b, uint64_t pa)
{
    return &b->next_in_page[(b->key >> 2 & TCG_PAGE_MASK) != pa];
}

/* Kill all blocks that have bytes in the page. */
static void page_kill(TCGState *s, TCGPage *p)
{
    TCGPage **q = &s->pages[hash_of(p->pa)];
    TCGBlock *b = p->blocks, *next;

    for (; b; b = next) {
        next = *next_link(b, p->pa);
        block_kill(s, b);
    }
    while (*q != p) {
        q = &(*q)->next;
    }
    *q = p->next;
    __atomic_store_n(&s->has_code[p->pa >> TCG_PAGE_BITS], 0,
                     __ATOMIC_SEQ_CST);
    g_free(p);
    s->stats.page_invalidations++;
}

bool tcg_page_may_write(TCGCPU *c, uint64_t pa)
{
    TCGState *s = c->tcg;
    uint64_t n = pa >> TCG_PAGE_BITS;
    uint8_t me = c->index + 1, old;

    if (n >= s->nr_pages) {
        return true;
    }
    if (__atomic_load_n(&s->has_code[n], __ATOMIC_RELAXED)) {
        return false;
    }
    /* First say so, then look: page_claim() does it the other way round. */
    old = __atomic_load_n(&s->writer[n], __ATOMIC_SEQ_CST);
    while (old != me && old != 255 &&
           !__atomic_compare_exchange_n(&s->writer[n], &old, old ? 255 : me,
                                        false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
    }
    return !__atomic_load_n(&s->has_code[n], __ATOMIC_SEQ_CST);
}

/*
 * Does the page count as code, with no TLB that holds a write entry for it? With the lock
 * held this stays so until blocks added to the page have been killed.
 */
static bool page_claimed(const TCGState *s, uint64_t n)
{
    return __atomic_load_n(&s->has_code[n], __ATOMIC_SEQ_CST) &&
        !__atomic_load_n(&s->writer[n], __ATOMIC_SEQ_CST);
}

/*
 * The page is about to be decoded: write entries for it go. What has become of that is
 * seen by page_claimed(). Returns false if it can never be watched.
 */
static bool page_claim(TCGCPU *c, uint64_t pa)
{
    TCGState *s = c->tcg;
    uint64_t n = pa >> TCG_PAGE_BITS;
    uint8_t w;

    if (n >= s->nr_pages) {
        return false;
    }
    if (page_claimed(s, n)) {
        return true;
    }
    __atomic_store_n(&s->has_code[n], 1, __ATOMIC_SEQ_CST);
    w = __atomic_load_n(&s->writer[n], __ATOMIC_SEQ_CST);
    if (w == c->index + 1) {
        tcg_tlb_flush_all(c);
        /* Unless another one has joined. */
        __atomic_compare_exchange_n(&s->writer[n], &w, 0, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
    } else if (w) {
        tcg_exclusive_start(c);
        for (unsigned i = 0; i < s->nr_cpus; i++) {
            tcg_tlb_flush_all(s->cpus[i]);
        }
        __atomic_store_n(&s->writer[n], 0, __ATOMIC_SEQ_CST);
        tcg_exclusive_end(c);
    }
    return true;
}

void tcg_code_written(TCGCPU *c, uint64_t pa, unsigned n)
{
    TCGState *s = c->tcg;
    uint64_t first = (pa & 0xfff) >> 6, last = ((pa + n - 1) & 0xfff) >> 6;
    uint64_t mask = (~(uint64_t)0 << first) & (~(uint64_t)0 >> (63 - last));
    TCGPage *p;

    g_mutex_lock(&s->lock);
    p = page_find(s, pa & TCG_PAGE_MASK);
    if (p && (p->granules & mask)) {
        page_kill(s, p);
    }
    g_mutex_unlock(&s->lock);
}

void tcg_page_verify(TCGCPU *c, uint64_t pa, const uint8_t *host)
{
    TCGState *s = c->tcg;
    TCGPage *p;

    if (pa >> TCG_PAGE_BITS >= s->nr_pages ||
        !__atomic_load_n(&s->has_code[pa >> TCG_PAGE_BITS], __ATOMIC_RELAXED)) {
        return;
    }
    g_mutex_lock(&s->lock);
    p = page_find(s, pa);
    if (p && page_sum(p->granules, host) != p->sum) {
        page_kill(s, p);
        s->stats.dma_changes++;
    }
    g_mutex_unlock(&s->lock);
}

void tcg_flush_blocks(TCGCPU *c)
{
    TCGState *s = c->tcg;

    tcg_exclusive_start(c);
    g_mutex_lock(&s->lock);
    free_pages(s);
    memset(s->hash, 0, HASH_SIZE * sizeof(*s->hash));
    s->arena_used = 0;
    s->stats.cache_flushes++;
    /* The jump caches still point into the arena. */
    for (unsigned i = 0; i < s->nr_cpus; i++) {
        tcg_tlb_flush_all(s->cpus[i]);
    }
    g_mutex_unlock(&s->lock);
    tcg_exclusive_end(c);
}

/*
 * Without the lock too: blocks are published when complete, keep their link when
 * they die, and their memory is reused only when all vCPUs are stopped.
 */
static TCGBlock *block_lookup(TCGState *s, uint64_t key)
{
    TCGBlock *b = __atomic_load_n(&s->hash[hash_of(key)], __ATOMIC_ACQUIRE);

    while (b && b->key != key) {
        b = __atomic_load_n(&b->next_hash, __ATOMIC_ACQUIRE);
    }
    return b;
}

static void page_add(TCGState *s, uint64_t pa, unsigned from, unsigned to,
                     const uint8_t *host, TCGBlock *b)
{
    TCGPage *p = page_find(s, pa);
    uint64_t g = (~(uint64_t)0 << (from >> 6)) &
                 (~(uint64_t)0 >> (63 - ((to - 1) >> 6)));

    if (!p) {
        p = g_new0(TCGPage, 1);
        p->pa = pa;
        p->next = s->pages[hash_of(pa)];
        s->pages[hash_of(pa)] = p;
    }
    if ((p->granules | g) != p->granules || !p->blocks) {
        p->granules |= g;
        p->sum = page_sum(p->granules, host);
    }
    *next_link(b, pa) = p->blocks;
    p->blocks = b;
}

static void op_end_init(X86Op *op, unsigned off, unsigned nr, X86CodeSize mode)
{
    memset(op, 0, sizeof(*op));
    op->fn = op_block_end;
    op->id = END_ID;
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

/* Decode from host (the page's bytes) at off. Returns ops, without the end. */
static unsigned decode_run(const uint8_t *host, unsigned off, X86CodeSize mode,
                           X86Op *ops, unsigned *end)
{
    unsigned n = 0;

    while (n < MAX_OPS && off < TCG_PAGE_SIZE) {
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

/*
 * The instruction at c->eip lies across two pages (or is not in RAM): its bytes
 * one after the other.
 */
static void decode_crossing(TCGCPU *c, uint64_t lin, X86Op *op,
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

/* Decode what begins at off of one page and ends in another: 1, or 0 if it does not. */
static unsigned decode_pair(const uint8_t *host, const uint8_t *host2, unsigned off,
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
    uint64_t page2, lin = c->eip + c->segs[R_CS].base;
    const uint8_t *host2;

    if (c->code_size != CODE64) {
        lin = (uint32_t)lin;
    }
    decode_crossing(c, lin, &c->tmp_ops[0], &page2, &host2);
    op_end_init(&c->tmp_ops[1], c->tmp_ops[0].off + c->tmp_ops[0].len, 0,
                c->code_size);
    c->tmp_ops[1].fn = op_dead;
    /* Its links must not be made: it is gone with the next one. */
    c->tmp_ops[0].flags &= ~OF_INPAGE;
    c->regs[R_PAGE] = c->eip - (lin & 0xfff);
    return &c->tmp_ops[0];
}

/* Decode a block at lin. NULL: cannot be kept, run it as a single op. */
static TCGBlock *block_make(TCGCPU *c, uint64_t lin, uint64_t pa,
                            const uint8_t *host)
{
    TCGState *s = c->tcg;
    X86Op ops[MAX_OPS + 1];
    unsigned off = pa & 0xfff, n, end;
    uint64_t page2 = TCG_NO_PAGE, key = pa << 2 | c->code_size;
    const uint8_t *host2 = NULL;
    TCGBlock *b;

    if (!host || !page_claim(c, pa & TCG_PAGE_MASK)) {
        return NULL;
    }
    n = decode_run(host, off, c->code_size, ops, &end);
    if (n == 0) {
        decode_crossing(c, lin, &ops[0], &page2, &host2);
        if (page2 == TCG_NO_PAGE || !host2 || !page_claim(c, page2) ||
            page2 == (pa & TCG_PAGE_MASK)) {
            return NULL;
        }
    }
    g_mutex_lock(&s->lock);
    if (!page_claimed(s, pa >> TCG_PAGE_BITS) ||
        (page2 != TCG_NO_PAGE && !page_claimed(s, page2 >> TCG_PAGE_BITS))) {
        b = NULL;               /* killed or written meanwhile: claim it next time */
        goto out;
    }
    b = block_lookup(s, key);
    if (b && b->page2 == page2) {
        goto out;               /* another vCPU was faster */
    }
    if (b) {
        block_kill(s, b);
    }
    /* Decode again under the lock, now that writers are seen. */
    n = page2 == TCG_NO_PAGE ? decode_run(host, off, c->code_size, ops, &end) :
        decode_pair(host, host2, off, c->code_size, ops, &end);
    if (n == 0 ||
        s->arena_used + sizeof(*b) + (n + 1) * sizeof(X86Op) > s->arena_size) {
        b = NULL;
        goto out;
    }
    tcg_fast_choose(ops, n);
    op_end_init(&ops[n], end, n, c->code_size);
    b = (TCGBlock *)(s->arena + s->arena_used);
    s->arena_used += sizeof(*b) + (n + 1) * sizeof(X86Op);
    memset(b, 0, sizeof(*b));
    b->key = key;
    b->page2 = page2;
    b->nr_ops = n + 1;
    memcpy(b->ops, ops, (n + 1) * sizeof(X86Op));
    page_add(s, pa & TCG_PAGE_MASK, off, end < TCG_PAGE_SIZE ? end : TCG_PAGE_SIZE,
             host, b);
    if (page2 != TCG_NO_PAGE) {
        page_add(s, page2, 0, end - TCG_PAGE_SIZE, host2, b);
    }
    b->next_hash = s->hash[hash_of(key)];
    __atomic_store_n(&s->hash[hash_of(key)], b, __ATOMIC_RELEASE);
    s->stats.blocks++;
    s->stats.ops += n;
out:
    g_mutex_unlock(&s->lock);
    return b;
}

/* The block at lin, whose first byte is at pa; made if need be. */
static TCGBlock *block_get(TCGCPU *c, uint64_t lin, uint64_t pa,
                           const uint8_t *host)
{
    TCGState *s = c->tcg;
    TCGBlock *b;

    b = block_lookup(s, pa << 2 | c->code_size);
    if (b && b->page2 != TCG_NO_PAGE) {
        const uint8_t *host2;

        if (tcg_code_page(c, (lin | 0xfff) + 1, &host2) != b->page2) {
            b = NULL;
        }
    }
    if (!b) {
        if (s->arena_used + sizeof(*b) + (MAX_OPS + 1) * sizeof(X86Op) >
            s->arena_size) {
            tcg_flush_blocks(c);
        }
        b = block_make(c, lin, pa, host);
    }
    return b;
}

const X86Op *tcg_block_find(TCGCPU *c)
{
    uint64_t pa, tag, lin = c->eip + c->segs[R_CS].base;
    const uint8_t *host;
    JumpEntry *e;
    TCGBlock *b;

    if (c->code_size != CODE64) {
        lin = (uint32_t)lin;
        if (c->eip > c->segs[R_CS].limit) {
            tcg_raise_err(c, EXCP_GP, 0);
        }
    }
    tag = code_tag(c, lin);
    e = &c->jc[(lin ^ (lin >> JC_BITS)) & (JC_SIZE - 1)];
    if (e->lin == lin && e->tag == tag && e->op->fn != op_dead) {
        c->regs[R_PAGE] = c->eip - (lin & 0xfff);
        return e->op;
    }
    pa = tcg_code_page(c, lin, &host);
    b = block_get(c, lin, pa, host);
    if (!b) {
        return tcg_single_find(c);
    }
    /*
     * With the tag of when the page was looked up: where making the block has dropped all
     * translations, INVLPG would not know of this one.
     */
    e->lin = lin;
    e->tag = tag;
    e->op = b->ops;
    c->regs[R_PAGE] = c->eip - (lin & 0xfff);
    return b->ops;
}

void tcg_block_link(TCGCPU *c, const X86Op *op, uint64_t eip)
{
    const X86Op *end = op;
    uint64_t pa, lin = eip + c->segs[R_CS].base, flushes;
    const uint8_t *host;
    TCGBlock *b, *from;
    X86Op *w = (X86Op *)op;

    if (c->code_size != CODE64) {
        lin = (uint32_t)lin;
    }
    while (end->id != END_ID) {
        end++;
    }
    from = (TCGBlock *)((char *)(end - end->reg) - offsetof(TCGBlock, ops));
    flushes = c->tcg->stats.cache_flushes;
    pa = tcg_code_page(c, lin, &host);
    b = block_get(c, lin, pa, host);
    if (flushes != c->tcg->stats.cache_flushes) {
        return;                 /* op is no more */
    }
    if (!b || b->page2 != TCG_NO_PAGE || ((from->key ^ b->key) >> 2 & TCG_PAGE_MASK)) {
        w->flags &= ~OF_INPAGE;
        return;
    }
    g_mutex_lock(&c->tcg->lock);
    if (!b->dead && !from->dead) {
        __atomic_store_n(&w->link, b->ops, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&c->tcg->lock);
}
