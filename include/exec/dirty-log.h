/*
 * The dirty log: which pages of the machine's RAM were written since somebody last looked.
 *
 * It is kept while a running machine is migrated. CPUs are the accelerator's matter
 * (AccelClass.dirty_*); whoever else writes through a pointer of address_space_map() says so
 * afterwards by address_space_wrote(), and costs nothing but a look while there is no log. What
 * is marked has been written before; who takes marks reads pages afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef EXEC_DIRTY_LOG_H
#define EXEC_DIRTY_LOG_H

#include "exec/memory.h"
#include "qemu/cutils.h"

#define DIRTY_PAGE 4096u

typedef struct DirtyLog {
    uint8_t *host;              /* RAM */
    uint64_t pages;
    _Atomic uint64_t *words;    /* a bit for each page; a multiple of 64 of them */
} DirtyLog;

/* For RAM of size bytes at host, nothing marked. NULL: there is no memory for it. */
DirtyLog *dirty_log_new(void *host, uint64_t size);
/* Mark the pages that hold len bytes at host; what is not RAM is passed over. Any thread. */
void dirty_log_mark(DirtyLog *log, const void *host, uint64_t len);
/* Mark pages first + n for each bit n of words, of which count count. Any thread. */
void dirty_log_merge(DirtyLog *log, uint64_t first, const uint64_t *words, uint64_t count);
/* Take all marks away, into words, which has room for them; how many there were. */
uint64_t dirty_log_take(DirtyLog *log, uint64_t *words);

/* Begin to log, or NULL: no more. A log must outlive all threads that may mark. Main thread. */
void address_space_set_dirty_log(AddressSpace *as, DirtyLog *log);

static inline DirtyLog *address_space_dirty_log(const AddressSpace *as)
{
    return CONFIG_HAS_MIGRATION ? __atomic_load_n(&as->dirty, __ATOMIC_ACQUIRE) : NULL;
}

/* len bytes at host, a pointer of address_space_map(), have been written. Any thread. */
static inline void address_space_wrote(const AddressSpace *as, const void *host, uint64_t len)
{
    DirtyLog *log = address_space_dirty_log(as);

    if (log) {
        dirty_log_mark(log, host, len);
    }
}

#endif
