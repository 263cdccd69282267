/*
 * The dirty log: a bit for each page of RAM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "exec/dirty-log.h"

#include <stdatomic.h>
#include <sys/mman.h>

static size_t log_bytes(uint64_t pages)
{
    return QEMU_ALIGN_UP(pages, 64) / 8;
}

/* Not from the heap: memory that comes zeroed, page by page as pages are marked. */
DirtyLog *dirty_log_new(void *host, uint64_t size)
{
    uint64_t pages = size / DIRTY_PAGE;
    void *words = mmap(NULL, log_bytes(pages), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    DirtyLog *log;

    if (words == MAP_FAILED) {
        return NULL;
    }
    log = g_new(DirtyLog, 1);
    *log = (DirtyLog) { .host = host, .pages = pages, .words = words };
    return log;
}

/* Most are marked already, and need no locked access. */
static void mark_word(DirtyLog *log, uint64_t n, uint64_t bits)
{
    if ((atomic_load_explicit(&log->words[n], memory_order_relaxed) & bits) != bits) {
        atomic_fetch_or(&log->words[n], bits);
    }
}

void dirty_log_mark(DirtyLog *log, const void *host, uint64_t len)
{
    uint64_t offset = (uintptr_t)host - (uintptr_t)log->host, page, last;

    if (!len || offset / DIRTY_PAGE >= log->pages) {
        return;
    }
    /* What was written comes before the look; pairs with the exchange of dirty_log_take(). */
    atomic_thread_fence(memory_order_seq_cst);
    page = offset / DIRTY_PAGE;
    last = MIN((offset + len - 1) / DIRTY_PAGE, log->pages - 1);
    while (page <= last) {
        uint64_t end = MIN(page | 63, last);

        mark_word(log, page / 64, UINT64_MAX << page % 64 & UINT64_MAX >> (63 - end % 64));
        page = end + 1;
    }
}

void dirty_log_merge(DirtyLog *log, uint64_t first, const uint64_t *words, uint64_t count)
{
    unsigned shift = first % 64;

    g_assert(first + count <= log->pages);
    for (uint64_t i = 0; i < (count + 63) / 64; i++) {
        uint64_t left = count - i * 64, n = first / 64 + i;
        uint64_t bits = left < 64 ? words[i] & ~(UINT64_MAX << left) : words[i];

        if (bits << shift) {
            atomic_fetch_or(&log->words[n], bits << shift);
        }
        if (shift && bits >> (64 - shift)) {
            atomic_fetch_or(&log->words[n + 1], bits >> (64 - shift));
        }
    }
}

uint64_t dirty_log_take(DirtyLog *log, uint64_t *words)
{
    uint64_t total = 0;

    for (uint64_t i = 0; i < (log->pages + 63) / 64; i++) {
        words[i] = atomic_load_explicit(&log->words[i], memory_order_relaxed)
                   ? atomic_exchange(&log->words[i], 0) : 0;
        total += __builtin_popcountll(words[i]);
    }
    return total;
}

void address_space_set_dirty_log(AddressSpace *as, DirtyLog *log)
{
    __atomic_store_n(&as->dirty, log, __ATOMIC_SEQ_CST);
}
