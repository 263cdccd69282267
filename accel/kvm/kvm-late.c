/*
 * Late writes: registers whose writes KVM puts into a ring instead of returning.
 *
 * The ring is one for the VM; KVM writes it, whoever flushes reads it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <unistd.h>

#include "kvm-int.h"

void kvm_late_init(KVMState *s)
{
    g_mutex_init(&s->late_lock);
    s->late_page = kvm_check_extension(s, KVM_CAP_COALESCED_MMIO);
}

/* Where this fails, the writes come as all others do. */
void kvm_late_add(KVMState *s, const FlatRange *range)
{
    const MemoryRegionLate *late = &range->mr->late;
    struct kvm_coalesced_mmio_zone zone = {
        .addr = range->start + (late->offset - range->offset),
        .size = late->len,
    };

    if (s->late_page && late->len && late->offset >= range->offset &&
        late->offset - range->offset + late->len <= range->size) {
        kvm_ioctl(s->vmfd, KVM_REGISTER_COALESCED_MMIO, &zone);
    }
}

static struct kvm_coalesced_mmio_ring *ring_of(const KVMState *s, struct kvm_run *run)
{
    return (void *)((uint8_t *)run + (size_t)s->late_page * sysconf(_SC_PAGESIZE));
}

void kvm_late_map(KVMState *s, struct kvm_run *run)
{
    if (s->late_page) {
        __atomic_store_n(&s->late, ring_of(s, run), __ATOMIC_RELEASE);
    }
}

void kvm_late_unmap(KVMState *s, struct kvm_run *run)
{
    g_mutex_lock(&s->late_lock);
    if (s->late == ring_of(s, run)) {
        __atomic_store_n(&s->late, NULL, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&s->late_lock);
}

/* Acquire: the entries before the index; pairs with KVM's write barrier. */
static bool ring_empty(const struct kvm_coalesced_mmio_ring *ring)
{
    return __atomic_load_n(&ring->first, __ATOMIC_RELAXED) ==
           __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
}

void kvm_late_flush(KVMState *s)
{
    struct kvm_coalesced_mmio_ring *ring = __atomic_load_n(&s->late, __ATOMIC_ACQUIRE);
    unsigned entries;

    if (!ring || ring_empty(ring)) {
        return;
    }
    g_mutex_lock(&s->late_lock);
    ring = s->late;
    entries = (sysconf(_SC_PAGESIZE) - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]);
    while (ring && !ring_empty(ring)) {
        struct kvm_coalesced_mmio *e = &ring->coalesced_mmio[ring->first];

        kvm_mmio_access(&s->parent.machine->memory, e->phys_addr, e->data,
                        MIN(e->len, sizeof(e->data)), true);
        /* Release: done with the entry before KVM may write it again. */
        __atomic_store_n(&ring->first, (ring->first + 1) % entries, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&s->late_lock);
}
