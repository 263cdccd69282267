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
#include "target/i386/tcg/block-decode.h"
#include "target/i386/tcg/jit/jit.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/ops/ops-fast.h"
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/sys/system.h"

#define HASH_BITS 17
#define HASH_SIZE (1u << HASH_BITS)

#define FULL_SOON_US (30 * G_USEC_PER_SEC)

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

TCGState *tcg_state_new(uint64_t ram_top, size_t code_limit, size_t code_most)
{
    TCGState *s = g_new0(TCGState, 1);
    void *m;

    s->nr_pages = (ram_top + TCG_PAGE_SIZE - 1) >> TCG_PAGE_BITS;
    m = mmap(NULL, code_most + 2 * s->nr_pages + TCG_PAGE_SIZE,
             PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) {
        g_free(s);
        return NULL;
    }
    tcg_fast_init();
    s->arena = m;
    s->arena_size = code_most;
    s->code_limit = MIN(code_limit, code_most);
    s->writer = s->arena + code_most;
    s->has_code = s->writer + s->nr_pages;
    s->hash = g_new0(TCGBlock *, HASH_SIZE);
    s->pages = g_new0(TCGPage *, HASH_SIZE);
    s->tsc_khz = tcg_tsc_khz();
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
    if (s->jit) {
        tcg_jit_free(s->jit);
    }
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
    if (s->jit) {
        tcg_jit_block_killed(s->jit, b);
    }
}

static TCGBlock **next_link(TCGBlock *b, uint64_t pa)
{
    return &b->next_in_page[(b->key >> 2 & TCG_PAGE_MASK) != pa];
}

/* Kill all blocks that have bytes in the page. */
static void page_kill(TCGCPU *c, TCGPage *p)
{
    TCGState *s = c->tcg;
    TCGPage **q = &s->pages[hash_of(p->pa)];
    TCGBlock *b = p->blocks, *next;
    uint64_t pa = p->pa;

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
    tcg_storm_changed(s, pa);
    if (s->jit) {
        tcg_ask_others(s, c);   /* translated code jumps within its page without looking */
    }
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
        page_kill(c, p);
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
        page_kill(c, p);
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
    if (s->jit) {
        tcg_jit_forget(s->jit);
    }
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

const TCGBlock *tcg_block_of_code(const TCGState *s, uintptr_t address)
{
    uint64_t left = s->stats.blocks;    /* whatever the chains look like */
    const TCGBlock *found = NULL;
    uintptr_t best = 0;

    for (unsigned i = 0; i < HASH_SIZE; i++) {
        for (const TCGBlock *b = s->hash[i]; b && left--; b = b->next_hash) {
            uintptr_t code = (uintptr_t)b->code, apart = (uintptr_t)b->apart;
            uintptr_t from = apart <= address ? MAX(code, apart) : code;

            if (code && from <= address && from > best) {
                found = b;
                best = from;
            }
        }
    }
    return found;
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

/* A block in the making. */
typedef struct Draft {
    uint64_t pa, page2;         /* page2: TCG_NO_PAGE if it lies in one page */
    const uint8_t *host, *host2;
    unsigned n, end;            /* instructions; the offset behind them */
    X86Op ops[TCG_BLOCK_OPS + 1];
} Draft;

/* Decode what begins at lin, its pages claimed. False: it cannot be kept. */
static bool draft_begin(TCGCPU *c, Draft *d, uint64_t lin)
{
    if (!d->host || tcg_storm_here(c->tcg, d->pa & TCG_PAGE_MASK) ||
        !page_claim(c, d->pa & TCG_PAGE_MASK)) {
        return false;
    }
    d->page2 = TCG_NO_PAGE;
    d->host2 = NULL;
    d->n = tcg_decode_run(d->host, d->pa & 0xfff, c->code_size, d->ops, &d->end);
    if (d->n) {
        return true;
    }
    tcg_decode_crossing(c, lin, &d->ops[0], &d->page2, &d->host2);
    return d->page2 != TCG_NO_PAGE && d->host2 && page_claim(c, d->page2) &&
           d->page2 != (d->pa & TCG_PAGE_MASK);
}

/* Decode again under the lock, now that writers are seen. */
static bool draft_finish_locked(TCGCPU *c, Draft *d)
{
    unsigned off = d->pa & 0xfff;

    d->n = d->page2 == TCG_NO_PAGE ?
           tcg_decode_run(d->host, off, c->code_size, d->ops, &d->end) :
           tcg_decode_pair(d->host, d->host2, off, c->code_size, d->ops, &d->end);
    if (!d->n) {
        return false;
    }
    tcg_fast_choose(d->ops, d->n);
    tcg_op_end_init(&d->ops[d->n], d->end, d->n, c->code_size);
    return true;
}

/* Put it where all find it. NULL: no room. */
static TCGBlock *block_place_locked(TCGState *s, const Draft *d, uint64_t key)
{
    size_t size = (d->n + 1) * sizeof(X86Op);
    TCGBlock *b = (TCGBlock *)(s->arena + s->arena_used);

    if (s->arena_used + sizeof(*b) + size > s->arena_size) {
        return NULL;
    }
    s->arena_used += sizeof(*b) + size;
    memset(b, 0, sizeof(*b));
    b->key = key;
    b->page2 = d->page2;
    b->nr_ops = d->n + 1;
    memcpy(b->ops, d->ops, size);
    if (s->jit) {
        tcg_jit_block_made(s->jit, b);
    }
    page_add(s, d->pa & TCG_PAGE_MASK, d->pa & 0xfff, MIN(d->end, TCG_PAGE_SIZE), d->host, b);
    if (d->page2 != TCG_NO_PAGE) {
        page_add(s, d->page2, 0, d->end - TCG_PAGE_SIZE, d->host2, b);
    }
    b->next_hash = s->hash[hash_of(key)];
    __atomic_store_n(&s->hash[hash_of(key)], b, __ATOMIC_RELEASE);
    s->stats.blocks++;
    s->stats.ops += d->n;
    return b;
}

static TCGBlock *block_make_locked(TCGCPU *c, Draft *d)
{
    TCGState *s = c->tcg;
    uint64_t key = d->pa << 2 | c->code_size;
    TCGBlock *b;

    if (!page_claimed(s, d->pa >> TCG_PAGE_BITS) ||
        (d->page2 != TCG_NO_PAGE && !page_claimed(s, d->page2 >> TCG_PAGE_BITS))) {
        return NULL;            /* killed or written meanwhile: claim it next time */
    }
    b = block_lookup(s, key);
    if (b && b->page2 == d->page2) {
        return b;               /* another vCPU was faster */
    }
    if (b) {
        page_kill(c, page_find(s, d->pa & TCG_PAGE_MASK));
        return NULL;
    }
    return draft_finish_locked(c, d) ? block_place_locked(s, d, key) : NULL;
}

/* Decode a block at lin. NULL: cannot be kept, run it as a single op. */
static TCGBlock *block_make(TCGCPU *c, uint64_t lin, uint64_t pa,
                            const uint8_t *host)
{
    TCGBlock *b;
    Draft d;

    d.pa = pa;
    d.host = host;
    if (!draft_begin(c, &d, lin)) {
        return NULL;
    }
    g_mutex_lock(&c->tcg->lock);
    b = block_make_locked(c, &d);
    g_mutex_unlock(&c->tcg->lock);
    return b;
}

bool tcg_code_has_room(const TCGState *s)
{
    size_t used = s->arena_used + (s->jit ? tcg_jit_used(s->jit) : 0);

    _Static_assert(sizeof(TCGBlock) + (TCG_BLOCK_OPS + 1) * sizeof(X86Op) <= JIT_BLOCK_BYTES,
                   "a block");
    return used + JIT_BLOCK_BYTES <= s->code_limit;
}

static bool is_full(const TCGState *s)
{
    return !tcg_code_has_room(s) || (s->jit && tcg_jit_is_full(s->jit));
}

/* What is full soon after it was full last needs more room. False: there is none. */
static bool grow(TCGState *s)
{
    int64_t now = g_get_monotonic_time();
    bool more = true;

    g_mutex_lock(&s->lock);
    if (is_full(s)) {           /* else another vCPU was faster */
        more = s->full_at && now - s->full_at < FULL_SOON_US && s->code_limit < s->arena_size;
        s->full_at = now;
    }
    if (more && is_full(s)) {
        s->code_limit = MIN(2 * s->code_limit, s->arena_size);
    }
    g_mutex_unlock(&s->lock);
    return more;
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
        if (is_full(s) && !grow(s)) {
            tcg_flush_blocks(c);
        }
        b = block_make(c, lin, pa, host);
    }
    return b;
}

const X86Op *tcg_block_find(TCGCPU *c)
{
    uint64_t pa, tag, lin = tcg_code_address(c);
    const uint8_t *host;
    JumpEntry *e;
    TCGBlock *b;

    tag = code_tag(c, lin);
    e = &c->jc[jump_hash(lin)];
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
    while (end->id != TCG_ID_END) {
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
