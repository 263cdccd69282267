/*
 * Coalesced MMIO: registers whose writes KVM puts into a ring instead of returning.
 *
 * The ring is one for the VM; KVM writes it, whoever flushes reads it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <unistd.h>

#include "kvm-int.h"

void kvm_coalesced_init(KVMState *s)
{
    g_mutex_init(&s->coalesced_lock);
    s->coalesced_page = kvm_check_extension(s, KVM_CAP_COALESCED_MMIO);
}

/* Where this fails, the writes come as all others do. */
void kvm_coalesced_add(KVMState *s, const FlatRange *range)
{
    const MemoryRegionCoalesced *zone = &range->mr->coalesced;
    struct kvm_coalesced_mmio_zone kzone = {
        .addr = range->start + (zone->offset - range->offset),
        .size = zone->len,
    };

    if (s->coalesced_page && zone->len && zone->offset >= range->offset &&
        zone->offset - range->offset + zone->len <= range->size) {
        kvm_ioctl(s->vmfd, KVM_REGISTER_COALESCED_MMIO, &kzone);
    }
}

static struct kvm_coalesced_mmio_ring *ring_of(const KVMState *s, struct kvm_run *run)
{
    return (void *)((uint8_t *)run + (size_t)s->coalesced_page * sysconf(_SC_PAGESIZE));
}

void kvm_coalesced_map(KVMState *s, struct kvm_run *run)
{
    if (s->coalesced_page) {
        __atomic_store_n(&s->coalesced, ring_of(s, run), __ATOMIC_RELEASE);
    }
}

void kvm_coalesced_unmap(KVMState *s, struct kvm_run *run)
{
    g_mutex_lock(&s->coalesced_lock);
    if (s->coalesced == ring_of(s, run)) {
        __atomic_store_n(&s->coalesced, NULL, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&s->coalesced_lock);
}

/* Acquire: the entries before the index; pairs with KVM's write barrier. */
static bool ring_empty(const struct kvm_coalesced_mmio_ring *ring)
{
    return __atomic_load_n(&ring->first, __ATOMIC_RELAXED) ==
           __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
}

void kvm_coalesced_flush(KVMState *s)
{
    struct kvm_coalesced_mmio_ring *ring = __atomic_load_n(&s->coalesced, __ATOMIC_ACQUIRE);
    unsigned entries;

    if (!ring || ring_empty(ring)) {
        return;
    }
    g_mutex_lock(&s->coalesced_lock);
    ring = s->coalesced;
    entries = (sysconf(_SC_PAGESIZE) - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]);
    while (ring && !ring_empty(ring)) {
        struct kvm_coalesced_mmio *e = &ring->coalesced_mmio[ring->first];

        kvm_mmio_access(&s->parent.machine->memory, e->phys_addr, e->data,
                        MIN(e->len, sizeof(e->data)), true);
        /* Release: done with the entry before KVM may write it again. */
        __atomic_store_n(&ring->first, (ring->first + 1) % entries, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&s->coalesced_lock);
}
