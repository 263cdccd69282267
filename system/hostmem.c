/*
 * Memory backends: anonymous, memfd and file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/hostmem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/cutils.h"

#define HUGETLBFS_MAGIC 0x958458f6

EnumNames host_mem_policies = {
    [MPOL_DEFAULT] = "default", [MPOL_PREFERRED] = "preferred", [MPOL_BIND] = "bind",
    [MPOL_INTERLEAVE] = "interleave", NULL
};

static const Property memory_backend_props[] = {
    DEFINE_PROP_SIZE("size", HostMemoryBackend, size, NULL,
                     "Bytes of memory, e.g. 500M"),
    DEFINE_PROP_BOOL("share", HostMemoryBackend, share, "off",
                     "Other processes can map the memory"),
    DEFINE_PROP_BOOL("prealloc", HostMemoryBackend, prealloc, "off",
                     "Take all of the memory from the host at start"),
    DEFINE_PROP_BOOL("reserve", HostMemoryBackend, reserve, "on",
                     "Count the memory against the host's limits at start"),
    DEFINE_PROP_BOOL("merge", HostMemoryBackend, merge, "on",
                     "Let the host merge equal pages"),
    DEFINE_PROP_BOOL("dump", HostMemoryBackend, dump, "on",
                     "The memory is part of core dumps"),
    DEFINE_PROP_UINT32("prealloc-threads", HostMemoryBackend, prealloc_threads, "1",
                       "Threads that preallocate"),
    DEFINE_PROP_STRLIST("host-nodes", HostMemoryBackend, host_nodes,
                        "NUMA nodes of the host, such as 0 or 0-1"),
    DEFINE_PROP_ENUM("policy", HostMemoryBackend, policy, &host_mem_policies, "default",
                     "How the memory comes from host-nodes"),
    DEFINE_PROP_IGNORED("x-use-canonical-path-for-ramblock-id", NULL),
    DEFINE_PROP_END
};

/* Name the host's refusal as the user knows it. */
static bool refuse(const HostMemoryBackend *b, int err, Error **errp)
{
    error_setg_errno(errp, err, "cannot set up guest memory '%s'",
                     b->obj.id ? b->obj.id : b->obj.oc->name);
    return false;
}

/*
 * Map the backend aligned to 2 MiB (so that huge pages fit) or to align: take
 * more address space than needed, give the ends back.
 */
static void *map_aligned(const HostMemoryBackend *b, uint64_t align, int flags)
{
    uint64_t size = b->size;
    uint64_t total = size + align;
    char *area, *start;
    void *host;

    if (total < size) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    area = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) {
        return MAP_FAILED;
    }
    start = (char *)QEMU_ALIGN_UP((uintptr_t)area, align);
    host = mmap(start, size, b->readonly ? PROT_READ : PROT_READ | PROT_WRITE,
                flags | MAP_FIXED, b->fd, 0);
    if (host == MAP_FAILED) {
        int err = errno;

        munmap(area, total);
        errno = err;
        return MAP_FAILED;
    }
    if (start > area) {
        munmap(area, start - area);
    }
    size = QEMU_ALIGN_UP(size, (uint64_t)sysconf(_SC_PAGESIZE));
    if (start + size < area + total) {
        munmap(start + size, area + total - (start + size));
    }
    return host;
}

/* The page size behind fd: huge for hugetlbfs and hugetlb memfds. */
static uint64_t fd_page_size(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC) {
        return fs.f_bsize;
    }
    return sysconf(_SC_PAGESIZE);
}

/* "N" or "N-M" into the mask. */
static bool add_host_nodes(HostMemoryBackend *b, const char *text)
{
    const unsigned bits = 8 * sizeof(b->node_mask[0]);
    g_auto(GStrv) range = g_strsplit(text, "-", 2);
    uint64_t first, last;

    if (!range[0] || qemu_strtou64(range[0], &first) ||
        qemu_strtou64(range[1] ? range[1] : range[0], &last) ||
        first > last || last >= HOST_NODES_MAX) {
        return false;
    }
    for (; first <= last; first++) {
        b->node_mask[first / bits] |= 1ul << first % bits;
    }
    return true;
}

/* host-nodes= and policy=; before the memory is touched. */
static bool backend_bind(HostMemoryBackend *b, Error **errp)
{
    for (guint i = 0; b->host_nodes && i < b->host_nodes->len; i++) {
        if (!add_host_nodes(b, b->host_nodes->pdata[i])) {
            error_setg(errp, "Parameter 'host-nodes' expects nodes below %d, such as 0 or 0-1",
                       HOST_NODES_MAX);
            return false;
        }
    }
    if (!b->host_nodes != (b->policy == MPOL_DEFAULT)) {
        error_setg(errp, b->host_nodes ? "host-nodes must be empty for policy %s"
                                       : "host-nodes must be set for policy %s",
                   host_mem_policies[b->policy]);
        return false;
    }
    if (b->host_nodes && syscall(SYS_mbind, b->host, b->size, b->policy, b->node_mask,
                                 HOST_NODES_MAX + 1, MPOL_MF_STRICT | MPOL_MF_MOVE) < 0) {
        error_setg_errno(errp, errno, "cannot bind memory to host NUMA nodes");
        return false;
    }
    return true;
}

static bool backend_prealloc(HostMemoryBackend *b, Error **errp)
{
    if (madvise(b->host, b->size,
                b->readonly ? MADV_POPULATE_READ : MADV_POPULATE_WRITE) == 0) {
        return true;
    }
    if (errno != EINVAL) {
        return refuse(b, errno, errp);
    }
    /* Before Linux 5.14: touch each page. */
    for (uint64_t off = 0; off < b->size; off += sysconf(_SC_PAGESIZE)) {
        volatile char *p = (char *)b->host + off, c = *p;

        if (!b->readonly) {
            *p = c;
        }
    }
    return true;
}

/* Hints: a kernel without the feature loses nothing. */
static void advise(const HostMemoryBackend *b)
{
    if (b->merge) {
        madvise(b->host, b->size, MADV_MERGEABLE);
    }
    if (!b->dump) {
        madvise(b->host, b->size, MADV_DONTDUMP);
    }
}

static bool backend_map(HostMemoryBackend *b, Error **errp)
{
    int flags = b->share ? MAP_SHARED : MAP_PRIVATE;
    uint64_t align = 2 * MiB;

    if (b->fd < 0) {
        flags |= MAP_ANONYMOUS;
    }
    b->page_size = b->fd < 0 ? (uint64_t)sysconf(_SC_PAGESIZE) : fd_page_size(b->fd);
    align = MAX(align, b->page_size);
    if (b->align) {
        if (b->align & (b->align - 1)) {
            error_setg(errp, "'align' must be a power of two");
            return false;
        }
        align = MAX(align, b->align);
    }
    if (!b->reserve) {
        flags |= MAP_NORESERVE;
    }
    b->host = map_aligned(b, align, flags);
    if (b->host == MAP_FAILED) {
        b->host = NULL;
        return refuse(b, errno, errp);
    }
    advise(b);
    return backend_bind(b, errp) && (!b->prealloc || backend_prealloc(b, errp));
}

static bool check_size(HostMemoryBackend *b, Error **errp)
{
    if (!b->size) {
        error_setg(errp, "property 'size' of %s doesn't take value '0'", b->obj.oc->name);
        return false;
    }
    if (b->size > INT64_MAX) {
        return refuse(b, ENOMEM, errp);
    }
    return true;
}

static bool ram_complete(Object *obj, Error **errp)
{
    HostMemoryBackend *b = downcast(obj, HostMemoryBackend, obj);

    return check_size(b, errp) && backend_map(b, errp);
}

static bool memfd_complete(Object *obj, Error **errp)
{
    HostMemoryBackend *b = downcast(obj, HostMemoryBackend, obj);
    unsigned flags = MFD_CLOEXEC;

    if (!check_size(b, errp)) {
        return false;
    }
    if (b->seal) {
        flags |= MFD_ALLOW_SEALING;
    }
    if (b->hugetlb) {
        flags |= MFD_HUGETLB;
        if (b->hugetlbsize) {
            if (b->hugetlbsize & (b->hugetlbsize - 1)) {
                error_setg(errp, "'hugetlbsize' must be a power of two");
                return false;
            }
            flags |= __builtin_ctzll(b->hugetlbsize) << MAP_HUGE_SHIFT;
        }
    }
    b->fd = memfd_create("memory-backend-memfd", flags);
    if (b->fd < 0 || ftruncate(b->fd, b->size) < 0) {
        return refuse(b, errno, errp);
    }
    if (b->seal && fcntl(b->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        return refuse(b, errno, errp);
    }
    return backend_map(b, errp);
}

/*
 * A file to map: mem-path itself, *created if it was not there, or an unlinked one in the
 * directory it names.
 */
static int open_mem_path(const HostMemoryBackend *b, bool *created)
{
    const char *path = b->mem_path;
    struct stat st;
    int fd;

    if (b->readonly) {
        return open(path, O_RDONLY | O_CLOEXEC);
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        g_autofree char *name = g_strconcat(path, "/qemu_back_mem.XXXXXX", NULL);
        int fd = mkostemp(name, O_CLOEXEC);

        if (fd >= 0) {
            unlink(name);
        }
        return fd;
    }
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    *created = fd >= 0;
    return fd < 0 && errno == EEXIST ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : fd;
}

/* Give the file its size and map it. */
static bool map_file(HostMemoryBackend *b, Error **errp)
{
    struct stat st;

    if (b->size % fd_page_size(b->fd)) {
        error_setg(errp, "memory size 0x%" PRIx64 " must be a multiple of page size 0x%" PRIx64,
                   b->size, fd_page_size(b->fd));
        return false;
    }
    if (fstat(b->fd, &st) < 0) {
        return refuse(b, errno, errp);
    }
    b->had_contents = st.st_size > 0;
    if (b->readonly && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < b->size)) {
        error_setg(errp, "backing store size 0x%" PRIx64 " does not match 'size' option 0x%" PRIx64,
                   (uint64_t)st.st_size, b->size);
        return false;
    }
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < b->size &&
        ftruncate(b->fd, b->size) < 0) {
        return refuse(b, errno, errp);
    }
    return backend_map(b, errp);
}

static bool file_complete(Object *obj, Error **errp)
{
    HostMemoryBackend *b = downcast(obj, HostMemoryBackend, obj);
    bool created = false;

    if (!b->mem_path) {
        error_setg(errp, "mem-path property not set");
        return false;
    }
    if (!check_size(b, errp)) {
        return false;
    }
    b->fd = open_mem_path(b, &created);
    if (b->fd < 0) {
        error_setg_errno(errp, confine_errno(b->mem_path, !b->readonly, errno),
                         "can't open backing store %s for guest RAM", b->mem_path);
        return false;
    }
    if (map_file(b, errp)) {
        return true;
    }
    if (created) {
        unlink(b->mem_path);
    }
    return false;
}

void host_memory_backend_keep(HostMemoryBackend *b, bool keep)
{
    atomic_store(&b->kept, keep);
}

void host_memory_backend_replaced(HostMemoryBackend *b)
{
    for (unsigned i = 0; i < b->nr_parts; i++) {
        host_memory_backend_replaced(b->parts[i]);
    }
    if (!b->parts) {
        b->had_contents = true;
        advise(b);
    }
}

const HostMemoryBackend *host_memory_backend_part(const HostMemoryBackend *b, const void *host)
{
    for (unsigned i = 0; i < b->nr_parts; i++) {
        if ((uintptr_t)host - (uintptr_t)b->parts[i]->host < b->parts[i]->size) {
            return b->parts[i];
        }
    }
    return !b->parts && (uintptr_t)host - (uintptr_t)b->host < b->size ? b : NULL;
}

static bool is_all(const HostMemoryBackend *b, bool (*test)(const HostMemoryBackend *b))
{
    for (unsigned i = 0; i < b->nr_parts; i++) {
        if (!is_all(b->parts[i], test)) {
            return false;
        }
    }
    return b->parts || test(b);
}

static bool is_shared(const HostMemoryBackend *b)
{
    return b->fd >= 0 && b->share;
}

static bool is_named(const HostMemoryBackend *b)
{
    struct stat st;

    return b->mem_path && b->fd >= 0 && fstat(b->fd, &st) == 0 && st.st_nlink > 0;
}

static bool was_named(const HostMemoryBackend *b)
{
    return b->had_contents && is_named(b);
}

static bool is_plain(const HostMemoryBackend *b)
{
    return b->fd < 0 && !b->share && !b->prealloc && !b->host_nodes;
}

bool host_memory_backend_is_shared(const HostMemoryBackend *b)
{
    return is_all(b, is_shared);
}

bool host_memory_backend_is_named(const HostMemoryBackend *b, bool before)
{
    return is_all(b, before ? was_named : is_named);
}

bool host_memory_backend_is_plain(const HostMemoryBackend *b)
{
    return is_all(b, is_plain);
}

/* Each part gives what it has of [host, host + len). */
static bool discard_parts(const HostMemoryBackend *b, char *host, uint64_t len)
{
    bool given = false;

    while (len) {
        const HostMemoryBackend *part = host_memory_backend_part(b, host);
        uint64_t n = !part ? 0 : MIN(len, part->size - (host - (char *)part->host));

        if (!part) {
            break;
        }
        given |= host_memory_backend_discard(part, host, n);
        host += n;
        len -= n;
    }
    return given;
}

bool host_memory_backend_discard(const HostMemoryBackend *b, void *host, uint64_t len)
{
    uint64_t offset = (uintptr_t)host - (uintptr_t)b->host;
    uint64_t start, end;

    if (atomic_load(&b->kept)) {
        return false;
    }
    if (b->parts) {
        return discard_parts(b, host, len);
    }
    if (offset >= b->size || len > b->size - offset || b->readonly ||
        (b->had_contents && !b->share)) {
        return false;
    }
    start = QEMU_ALIGN_UP(offset, b->page_size);
    end = (offset + len) / b->page_size * b->page_size;
    if (start >= end) {
        return false;
    }
    host = (char *)b->host + start;
    len = end - start;
    if (b->share && b->fd >= 0) {
        return fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, len) == 0;
    }
    /* Locked memory (-overcommit mem-lock=on) goes, too: what comes instead is locked again. */
    return madvise(host, len, b->share ? MADV_REMOVE : MADV_DONTNEED) == 0 ||
        (!b->share && errno == EINVAL && madvise(host, len, MADV_DONTNEED_LOCKED) == 0);
}

static void backend_init(Object *obj)
{
    downcast(obj, HostMemoryBackend, obj)->fd = -1;
}

static void backend_finalize(Object *obj)
{
    HostMemoryBackend *b = downcast(obj, HostMemoryBackend, obj);

    if (b->host) {
        if (b->discard_data && b->fd >= 0) {
            madvise(b->host, b->size, MADV_REMOVE);
        }
        munmap(b->host, b->size);
    }
    if (b->fd >= 0) {
        close(b->fd);
    }
}

static const ObjectClass memory_backend_base_class = {
    .name = "memory-backend",
    .instance_size = sizeof(HostMemoryBackend),
    .props = memory_backend_props,
    .init = backend_init,
    .finalize = backend_finalize,
};

static bool backend_in_use(const Object *obj)
{
    return downcast(obj, const HostMemoryBackend, obj)->in_use;
}

bool object_is_memory_backend(const Object *obj)
{
    return obj->oc->parent == &memory_backend_base_class;
}

static const ObjectClass memory_backend_ram_class = {
    .name = "memory-backend-ram",
    .parent = &memory_backend_base_class,
    .instance_size = sizeof(HostMemoryBackend),
    .complete = ram_complete,
    .in_use = backend_in_use,
};

static const Property memfd_props[] = {
    DEFINE_PROP_BOOL("hugetlb", HostMemoryBackend, hugetlb, "off", "Made of huge pages"),
    DEFINE_PROP_SIZE("hugetlbsize", HostMemoryBackend, hugetlbsize, "0",
                     "Bytes of a huge page, e.g. 2M"),
    DEFINE_PROP_BOOL("seal", HostMemoryBackend, seal, "on", "The size cannot be changed any more"),
    DEFINE_PROP_END
};

static void memfd_init(Object *obj)
{
    downcast(obj, HostMemoryBackend, obj)->share = true;
}

static const ObjectClass memory_backend_memfd_class = {
    .name = "memory-backend-memfd",
    .parent = &memory_backend_base_class,
    .instance_size = sizeof(HostMemoryBackend),
    .props = memfd_props,
    .init = memfd_init,
    .complete = memfd_complete,
    .in_use = backend_in_use,
};

static const Property file_props[] = {
    DEFINE_PROP_STRING("mem-path", HostMemoryBackend, mem_path, NULL,
                       "Path of the file or directory to use"),
    DEFINE_PROP_BOOL("readonly", HostMemoryBackend, readonly, "off",
                     "The file is only read: not for RAM"),
    DEFINE_PROP_SIZE("align", HostMemoryBackend, align, "0",
                     "Alignment of the mapping"),
    DEFINE_PROP_BOOL("discard-data", HostMemoryBackend, discard_data, "off",
                     "Drop the file's contents at exit"),
    DEFINE_PROP_END
};

static const ObjectClass memory_backend_file_class = {
    .name = "memory-backend-file",
    .parent = &memory_backend_base_class,
    .instance_size = sizeof(HostMemoryBackend),
    .props = file_props,
    .complete = file_complete,
    .in_use = backend_in_use,
};

HostMemoryBackend *host_memory_backend_new_default(const MachineState *ms,
                                                   const char *mem_path,
                                                   bool prealloc,
                                                   Error **errp)
{
    const ObjectClass *oc = mem_path ? &memory_backend_file_class : &memory_backend_ram_class;
    const char *id = machine_get_class(ms)->default_ram_id;
    HostMemoryBackend *b = downcast(object_new(oc, id), HostMemoryBackend, obj);

    b->size = ms->ram_size;
    b->merge = ms->mem_merge;
    b->dump = ms->dump_guest_core;
    b->prealloc = prealloc;
    b->mem_path = g_strdup(mem_path);
    if (!oc->complete(&b->obj, errp)) {
        object_free(&b->obj);
        return NULL;
    }
    b->in_use = true;
    return b;
}

DEFINE_CLASS(memory_backend_ram, &memory_backend_ram_class);
DEFINE_CLASS(memory_backend_memfd, &memory_backend_memfd_class);
DEFINE_CLASS(memory_backend_file, &memory_backend_file_class);
