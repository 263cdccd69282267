/*
 * The dirty log of KVM's vCPUs (exec/dirty-log.h): a bitmap of each memory slot.
 *
 * With KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 pages are protected where their marks are taken away, a
 * piece at a time, not all at once while vCPUs wait; and none when logging begins.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "kvm-dirty.h"
#include "kvm-int.h"
#include "sysemu/hostmem.h"

#define CLEAR_PAGES (1u << 16)

/* The nth piece of RAM is in slot n: kvm_region_add(). NULL: nobody can write there. */
static const FlatRange *slot_range(const MachineState *ms, unsigned n)
{
    const FlatRange *r = &ms->memory.ram[n];
    uint64_t offset = (uintptr_t)r->mr->host + r->offset - (uintptr_t)ms->memdev->host;

    return !r->mr->readonly && offset < ms->memdev->size ? r : NULL;
}

static int set_logging(KVMState *s, unsigned n, const FlatRange *r, bool on)
{
    struct kvm_userspace_memory_region slot = {
        .slot = n,
        .flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0,
        .guest_phys_addr = r->start,
        .memory_size = r->size,
        .userspace_addr = (uintptr_t)r->mr->host + r->offset,
    };

    return kvm_ioctl(s->vmfd, KVM_SET_USER_MEMORY_REGION, &slot);
}

void kvm_dirty_stop(AccelState *as)
{
    KVMState *s = downcast(as, KVMState, parent);
    const MachineState *ms = as->machine;

    for (unsigned n = 0; n < ms->memory.nr_ram; n++) {
        if (slot_range(ms, n)) {
            set_logging(s, n, slot_range(ms, n), false);
        }
    }
    g_clear_pointer(&s->dirty_words, g_free);
}

static void try_manual_protect(KVMState *s)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 };

    cap.args[0] = kvm_check_extension(s, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
    s->manual_protect = cap.args[0] && kvm_ioctl(s->vmfd, KVM_ENABLE_CAP, &cap) == 0;
}

bool kvm_dirty_start(AccelState *as, Error **errp)
{
    KVMState *s = downcast(as, KVMState, parent);
    const MachineState *ms = as->machine;

    try_manual_protect(s);
    s->dirty_words = g_try_malloc0(QEMU_ALIGN_UP(ms->memdev->size / DIRTY_PAGE, 64) / 8);
    for (unsigned n = 0; s->dirty_words && n < ms->memory.nr_ram; n++) {
        const FlatRange *r = slot_range(ms, n);
        int ret = r ? set_logging(s, n, r, true) : 0;

        if (ret < 0) {
            error_setg_errno(errp, -ret, "KVM cannot log what the guest writes");
            kvm_dirty_stop(as);
            return false;
        }
    }
    if (!s->dirty_words) {
        error_setg(errp, "no memory for the dirty log");
    }
    return s->dirty_words != NULL;
}

/* Pages are protected again from here on; 0 or negative errno. */
static int clear_slot(KVMState *s, unsigned n, uint64_t pages)
{
    for (uint64_t first = 0; first < pages; first += CLEAR_PAGES) {
        struct kvm_clear_dirty_log clear = {
            .slot = n, .first_page = first, .num_pages = MIN(pages - first, CLEAR_PAGES),
            .dirty_bitmap = s->dirty_words + first / 64,
        };
        int ret = kvm_ioctl(s->vmfd, KVM_CLEAR_DIRTY_LOG, &clear);

        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

/* Where KVM does not say, all of it counts as written: that costs time, not contents. */
static void take_slot(KVMState *s, unsigned n, const FlatRange *r, DirtyLog *log)
{
    struct kvm_dirty_log get = { .slot = n, .dirty_bitmap = s->dirty_words };
    uint64_t pages = r->size / DIRTY_PAGE;
    uint8_t *host = (uint8_t *)r->mr->host + r->offset;

    memset(s->dirty_words, 0, QEMU_ALIGN_UP(pages, 64) / 8);
    if (kvm_ioctl(s->vmfd, KVM_GET_DIRTY_LOG, &get) < 0 ||
        (s->manual_protect && clear_slot(s, n, pages) < 0)) {
        dirty_log_mark(log, host, r->size);
    } else {
        dirty_log_merge(log, (host - log->host) / DIRTY_PAGE, s->dirty_words, pages);
    }
}

uint64_t kvm_dirty_take(AccelState *as, DirtyLog *log, uint64_t *words)
{
    const MachineState *ms = as->machine;

    for (unsigned n = 0; n < ms->memory.nr_ram; n++) {
        if (slot_range(ms, n)) {
            take_slot(downcast(as, KVMState, parent), n, slot_range(ms, n), log);
        }
    }
    return dirty_log_take(log, words);
}
