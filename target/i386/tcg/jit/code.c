/*
 * Memory for code, and the life of the translator.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/mman.h>
#include <unistd.h>

#include "qemu/cutils.h"
#include "target/i386/tcg/jit/jit-int.h"


/* Two views of a file that nobody else knows. */
static bool map_code(TCGJit *jit)
{
    int fd = memfd_create("translated code", MFD_CLOEXEC);
    void *w = MAP_FAILED, *x = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, jit->size) == 0) {
        w = mmap(NULL, jit->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        x = mmap(NULL, jit->size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, fd, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (w == MAP_FAILED || x == MAP_FAILED) {
        if (w != MAP_FAILED) {
            munmap(w, jit->size);
        }
        return false;
    }
    jit->writable = w;
    jit->executable = x;
    return true;
}

TCGJit *tcg_jit_new(const TCGJitConfig *config, const char **why)
{
    TCGJit *jit = g_new0(TCGJit, 1);

    jit->size = QEMU_ALIGN_UP(config->size, TCG_PAGE_SIZE);
    jit->threshold = config->threshold;
    if (!map_code(jit)) {
        *why = "the host does not allow to execute what is written";
        g_free(jit);
        return NULL;
    }
    tcg_jit_fill_hash(jit);
    if (!tcg_jit_emit_common(jit)) {
        *why = "no room for code";
        tcg_jit_free(jit);
        return NULL;
    }
    return jit;
}

void tcg_jit_free(TCGJit *jit)
{
    munmap(jit->writable, jit->size);
    munmap((void *)jit->executable, jit->size);
    g_free(jit);
}

void tcg_jit_forget(TCGJit *jit)
{
    jit->stats.forgotten++;
    jit->used = jit->fixed;
    jit->full = false;
}

bool tcg_jit_is_full(const TCGJit *jit)
{
    return __atomic_load_n(&jit->full, __ATOMIC_RELAXED);
}

char *tcg_jit_info(const TCGJit *jit)
{
    return g_strdup_printf("translated blocks %" PRIu64 " (%" PRIu64 " instructions, %" PRIu64
                           " by calls; %zu of %zu KiB), not worth it %" PRIu64
                           ", forgotten %" PRIu64 " times\n", jit->stats.blocks, jit->stats.ops,
                           jit->stats.called, jit->used / 1024, jit->size / 1024,
                           jit->stats.refused, jit->stats.forgotten);
}
