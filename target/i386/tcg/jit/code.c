/*
 * Memory for code, and the life of the translator.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/mman.h>
#include <unistd.h>

#include "qemu/cutils.h"
#include "target/i386/tcg/jit/jit-int.h"

/* Both views or none. */
static bool take_views(TCGJit *jit, void *w, void *x)
{
    if (x == MAP_FAILED) {
        if (w != MAP_FAILED) {
            munmap(w, jit->size);
        }
        return false;
    }
    jit->writable = w;
    jit->executable = x;
    return true;
}

/* Two views of a file that nobody else knows. */
static bool map_code(TCGJit *jit)
{
    int fd = memfd_create("translated code", MFD_CLOEXEC);
    void *w = MAP_FAILED, *x = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, jit->size) == 0) {
        w = mmap(NULL, jit->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        x = w == MAP_FAILED ? w : mmap(NULL, jit->size, PROT_READ | PROT_EXEC,
                                       MAP_SHARED | MAP_NORESERVE, fd, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    return take_views(jit, w, x);
}

/*
 * The same for perf, which looks for names of its own only in memory without a file. Services that
 * may not change memory to executable (systemd's MemoryDenyWriteExecute=) do not have this.
 */
static bool map_code_for_perf(TCGJit *jit)
{
    void *w = mmap(NULL, jit->size, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *x = w == MAP_FAILED ? w : mremap(w, 0, jit->size, MREMAP_MAYMOVE);

    if (x != MAP_FAILED && mprotect(x, jit->size, PROT_READ | PROT_EXEC) < 0) {
        munmap(x, jit->size);
        x = MAP_FAILED;
    }
    return take_views(jit, w, x);
}

static void close_map(TCGJit *jit)
{
    if (jit->perf_map >= 0) {
        close(jit->perf_map);
    }
}

TCGJit *tcg_jit_new(const TCGJitConfig *config, const char **why)
{
    TCGJit *jit = g_new0(TCGJit, 1);

    /*
     * Most guests have two bytes of code for three that are apart, but neither part of the
     * address space is to be full before there is too much of both.
     */
    jit->size = QEMU_ALIGN_UP(config->size + config->size / 2, TCG_PAGE_SIZE);
    jit->apart = QEMU_ALIGN_UP(jit->size / 5 * 2, TCG_PAGE_SIZE);
    jit->threshold = config->threshold;
    jit->verify = config->verify;
    jit->perf_map = config->perf_map;
    if (!(jit->perf_map < 0 ? map_code(jit) : map_code_for_perf(jit))) {
        *why = "the host does not allow to execute what is written";
        close_map(jit);
        g_free(jit);
        return NULL;
    }
    return jit;
}

void tcg_jit_prepare(TCGJit *jit)
{
    if (!jit->fixed) {
        jit->hash = g_new0(Template, JIT_HASH);
        tcg_jit_fill_hash(jit);
        tcg_jit_emit_common(jit);
        tcg_jit_report_common(jit);
    }
}

void tcg_jit_free(TCGJit *jit)
{
    munmap(jit->writable, jit->size);
    munmap((void *)jit->executable, jit->size);
    close_map(jit);
    g_free(jit->hash);
    g_free(jit);
}

void tcg_jit_forget(TCGJit *jit)
{
    jit->stats.forgotten++;
    jit->used = jit->fixed;
    jit->used_apart = jit->apart;
    jit->pairs = jit->size;
    jit->full = false;
}

bool tcg_jit_is_full(const TCGJit *jit)
{
    return __atomic_load_n(&jit->full, __ATOMIC_RELAXED);
}

size_t tcg_jit_used(const TCGJit *jit)
{
    return jit->used + jit->used_apart - jit->apart + jit->size - jit->pairs;
}

bool jit_has_room(const TCGJit *jit)
{
    return jit->apart - jit->used >= JIT_BLOCK_BYTES &&
        jit->pairs - jit->used_apart >= JIT_BLOCK_BYTES;
}

char *tcg_jit_info(const TCGJit *jit)
{
    uint64_t guest = jit->stats.guest_bytes, host = jit->stats.code_bytes;

    return g_strdup_printf("translated blocks %" PRIu64 " (%" PRIu64 " instructions, %" PRIu64
                           " by calls; %zu KiB), not worth it %" PRIu64
                           ", invalidated %" PRIu64 ", forgotten %" PRIu64 " times\n"
                           "translated %" PRIu64 " KiB to %" PRIu64 " KiB (%" PRIu64 ".%" PRIu64
                           " times)\n", jit->stats.blocks, jit->stats.ops, jit->stats.called,
                           tcg_jit_used(jit) / 1024, jit->stats.refused,
                           jit->stats.killed, jit->stats.forgotten, guest / 1024, host / 1024,
                           guest ? host / guest : 0, guest ? host * 10 / guest % 10 : 0);
}
