/*
 * Accesses through a sealed address space: dispatch and the door to RAM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "exec/dirty-log.h"
#include "exec/memory.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/trace.h"

/* Binary search; the arrays are immutable once sealed. */
static const FlatRange *find_range(const FlatRange *ranges, unsigned n,
                                   hwaddr addr)
{
    while (n) {
        unsigned half = n / 2;
        const FlatRange *r = &ranges[half];

        if (addr < r->start) {
            n = half;
        } else if (addr - r->start < r->size) {
            return r;
        } else {
            ranges = r + 1;
            n -= half + 1;
        }
    }
    return NULL;
}

const FlatRange *address_space_lookup(const AddressSpace *as, hwaddr addr)
{
    return find_range(as->ranges, as->nr_ranges, addr);
}

static void *range_host(const FlatRange *r, hwaddr addr)
{
    return (char *)r->mr->host + r->offset + (addr - r->start);
}

/* The piece of RAM that holds all of it, or NULL. */
static const FlatRange *find_ram(const AddressSpace *as, hwaddr addr, uint64_t len)
{
    const FlatRange *r = find_range(as->ram, as->nr_ram, addr);

    return r && len && len <= r->size - (addr - r->start) ? r : NULL;
}

void *address_space_map(const AddressSpace *as, hwaddr addr, uint64_t len)
{
    const FlatRange *r = find_ram(as, addr, len);

    return r && !r->mr->readonly ? range_host(r, addr) : NULL;
}

const void *address_space_map_ro(const AddressSpace *as, hwaddr addr, uint64_t len)
{
    const FlatRange *r = find_ram(as, addr, len);

    return r ? range_host(r, addr) : NULL;
}

/* A mask of size bytes of ones. */
static uint64_t size_mask(unsigned size)
{
    return size == 8 ? UINT64_MAX : (1ULL << (size * 8)) - 1;
}

static bool access_valid(const MemoryRegionOps *ops, hwaddr addr,
                         unsigned size)
{
    unsigned min = ops->valid.min_access_size ? ops->valid.min_access_size : 1;
    unsigned max = ops->valid.max_access_size ? ops->valid.max_access_size : 8;

    return size >= min && size <= max && (ops->valid.unaligned || addr % size == 0);
}

/* The size of the pieces in which the device takes an access. */
static unsigned impl_size(const MemoryRegionOps *ops, unsigned size)
{
    unsigned min = ops->impl.min_access_size ? ops->impl.min_access_size : 1;
    unsigned max = ops->impl.max_access_size ? ops->impl.max_access_size : 8;

    return CLAMP(size, min, max);
}

static void io_read(MemoryRegion *mr, hwaddr addr, uint64_t *data,
                    unsigned size)
{
    unsigned step = impl_size(mr->ops, size);
    uint64_t value = 0;

    if (step > size) {
        /* Widen: read the aligned unit and take the part asked for. */
        hwaddr base = addr & ~(hwaddr)(step - 1);

        value = mr->ops->read(mr->opaque, base, step) >> ((addr - base) * 8);
    } else {
        for (unsigned i = 0; i < size; i += step) {
            value |= (mr->ops->read(mr->opaque, addr + i, step) & size_mask(step)) << (i * 8);
        }
    }
    *data = value & size_mask(size);
}

static void io_write(MemoryRegion *mr, hwaddr addr, uint64_t data,
                     unsigned size)
{
    unsigned step = impl_size(mr->ops, size);

    if (step > size) {
        /* No read-modify-write: a register's read may have side effects. */
        mr->ops->write(mr->opaque, addr, data & size_mask(size), step);
        return;
    }
    for (unsigned i = 0; i < size; i += step) {
        mr->ops->write(mr->opaque, addr + i, (data >> (i * 8)) & size_mask(step), step);
    }
}

static bool io_access(const FlatRange *r, hwaddr addr, uint64_t *data,
                      unsigned size, bool is_write)
{
    MemoryRegion *mr = r->mr;
    hwaddr offset = r->offset + (addr - r->start);

    if (!access_valid(mr->ops, offset, size)) {
        qemu_log_mask(LOG_GUEST_ERROR, "%s: invalid %u-byte %s at offset 0x%" HWADDR_PRIx
                      "\n", mr->name, size, is_write ? "write" : "read", offset);
        return false;
    }
    if (!is_write) {
        io_read(mr, offset, data, size);
        trace(memory_region_ops_read, "%s addr 0x%" HWADDR_PRIx " size %u value 0x%" PRIx64,
              mr->name, addr, size, *data);
        return true;
    }
    trace(memory_region_ops_write, "%s addr 0x%" HWADDR_PRIx " size %u value 0x%" PRIx64,
          mr->name, addr, size, *data);
    io_write(mr, offset, *data, size);
    return true;
}

static bool access_range(AddressSpace *as, const FlatRange *r, hwaddr addr,
                         uint64_t *data, unsigned size, bool is_write)
{
    if (r && size <= r->size - (addr - r->start)) {
        if (r->mr->kind == MEMORY_REGION_IO) {
            if (io_access(r, addr, data, size, is_write)) {
                return true;
            }
        } else if (r->mr->kind == MEMORY_REGION_RAM) {
            void *host = range_host(r, addr);

            if (is_write && r->mr->readonly) {
                return false;
            }
            if (is_write) {
                memcpy(host, data, size);
                address_space_wrote(as, host, size);
            } else {
                *data = 0;
                memcpy(data, host, size);
            }
            return true;
        }
    } else if (r && as->is_io) {
        /* A port access across two devices: byte by byte, as on the ISA bus. */
        for (unsigned i = 0; i < size; i++) {
            uint64_t byte = *data >> (i * 8);

            address_space_rw_locked(as, addr + i, &byte, 1, is_write);
            if (!is_write) {
                *data = (i ? *data : 0) | (byte & 0xff) << (i * 8);
            }
        }
        return true;
    }
    if (!is_write) {
        *data = as->is_io ? size_mask(size) : 0;
    }
    return false;
}

bool address_space_rw_locked(AddressSpace *as, hwaddr addr, uint64_t *data,
                             unsigned size, bool is_write)
{
    return access_range(as, address_space_lookup(as, addr), addr, data, size, is_write);
}

bool address_space_rw(AddressSpace *as, hwaddr addr, uint64_t *data,
                      unsigned size, bool is_write)
{
    const FlatRange *r = address_space_lookup(as, addr);
    bool lock = r && r->mr->kind == MEMORY_REGION_IO && !r->mr->ops->lockless;
    bool answered;

    /* What lies behind a device that an access reaches beyond may need the lock. */
    lock |= as->is_io && r && size > r->size - (addr - r->start);

    if (lock) {
        bql_lock();
    }
    answered = access_range(as, r, addr, data, size, is_write);
    if (lock) {
        bql_unlock();
    }
    return answered;
}

/* Copy between buf and RAM, range by range. */
static bool copy_ram(const AddressSpace *as, hwaddr addr, void *buf,
                     uint64_t len, bool to_ram)
{
    char *p = buf;

    while (len) {
        const FlatRange *r = find_range(as->ram, as->nr_ram, addr);
        uint64_t n;

        if (!r || (to_ram && r->mr->readonly)) {
            return false;
        }
        n = MIN(len, r->size - (addr - r->start));
        if (to_ram) {
            memcpy(range_host(r, addr), p, n);
            address_space_wrote(as, range_host(r, addr), n);
        } else {
            memcpy(p, range_host(r, addr), n);
        }
        p += n;
        addr += n;
        len -= n;
    }
    return true;
}

bool address_space_read(const AddressSpace *as, hwaddr addr, void *buf,
                        uint64_t len)
{
    return copy_ram(as, addr, buf, len, false);
}

bool address_space_write(const AddressSpace *as, hwaddr addr, const void *buf,
                         uint64_t len)
{
    return copy_ram(as, addr, (void *)buf, len, true);
}
