/*
 * -sandbox: system calls that the process can do without, denied by the host's kernel
 * (seccomp). libseccomp makes the filter; it is loaded when it is used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "confine.h"

#include <errno.h>
#include <glib.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include "qemu/library.h"

#define SECCOMP_SONAME "libseccomp.so.2"

static const struct {
    int nr;
    SandboxSet set;
} calls[] = {
    /* The host as such, other processes, ways around the rest. */
#define CALL_ERRNO(name, err) { SCMP_SYS(name), SANDBOX_ALWAYS }
#include "never-calls.inc"
#undef CALL_ERRNO

    /* Numbers that today's kernels answer with ENOSYS, or keep for old programs. */
    { SCMP_SYS(_sysctl), SANDBOX_OBSOLETE },
    { SCMP_SYS(afs_syscall), SANDBOX_OBSOLETE },
    { SCMP_SYS(create_module), SANDBOX_OBSOLETE },
    { SCMP_SYS(get_kernel_syms), SANDBOX_OBSOLETE },
    { SCMP_SYS(getpmsg), SANDBOX_OBSOLETE },
    { SCMP_SYS(modify_ldt), SANDBOX_OBSOLETE },
    { SCMP_SYS(nfsservctl), SANDBOX_OBSOLETE },
    { SCMP_SYS(personality), SANDBOX_OBSOLETE },
    { SCMP_SYS(putpmsg), SANDBOX_OBSOLETE },
    { SCMP_SYS(query_module), SANDBOX_OBSOLETE },
    { SCMP_SYS(remap_file_pages), SANDBOX_OBSOLETE },
    { SCMP_SYS(security), SANDBOX_OBSOLETE },
    { SCMP_SYS(sysfs), SANDBOX_OBSOLETE },
    { SCMP_SYS(tuxcall), SANDBOX_OBSOLETE },
    { SCMP_SYS(uselib), SANDBOX_OBSOLETE },
    { SCMP_SYS(ustat), SANDBOX_OBSOLETE },
    { SCMP_SYS(vserver), SANDBOX_OBSOLETE },

    { SCMP_SYS(capset), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setfsgid), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setfsuid), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setgid), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setgroups), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setpgid), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setregid), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setresgid), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setresuid), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setreuid), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setsid), SANDBOX_PRIVILEGES },
    { SCMP_SYS(setuid), SANDBOX_PRIVILEGES },

    { SCMP_SYS(execve), SANDBOX_SPAWN },
    { SCMP_SYS(execveat), SANDBOX_SPAWN },
    { SCMP_SYS(fork), SANDBOX_SPAWN },
    { SCMP_SYS(vfork), SANDBOX_SPAWN },

    { SCMP_SYS(ioprio_set), SANDBOX_RESOURCES },
    { SCMP_SYS(migrate_pages), SANDBOX_RESOURCES },
    { SCMP_SYS(sched_setaffinity), SANDBOX_RESOURCES },
    { SCMP_SYS(sched_setattr), SANDBOX_RESOURCES },
    { SCMP_SYS(sched_setparam), SANDBOX_RESOURCES },
    { SCMP_SYS(sched_setscheduler), SANDBOX_RESOURCES },
    { SCMP_SYS(setpriority), SANDBOX_RESOURCES },
    { SCMP_SYS(setrlimit), SANDBOX_RESOURCES },
};

typedef struct SeccompLib {
    __typeof__(&seccomp_init) init;
    __typeof__(&seccomp_release) release;
    __typeof__(&seccomp_attr_set) attr_set;
    __typeof__(&seccomp_rule_add_array) rule_add;
    __typeof__(&seccomp_load) load;
} SeccompLib;

static bool load_library(SeccompLib *lib, Error **errp)
{
    static const LibrarySymbol symbols[] = {
        { "seccomp_init", offsetof(SeccompLib, init) },
        { "seccomp_release", offsetof(SeccompLib, release) },
        { "seccomp_attr_set", offsetof(SeccompLib, attr_set) },
        { "seccomp_rule_add_array", offsetof(SeccompLib, rule_add) },
        { "seccomp_load", offsetof(SeccompLib, load) },
    };

    if (!library_load(SECCOMP_SONAME, symbols, G_N_ELEMENTS(symbols), lib, errp)) {
        error_prepend(errp, "-sandbox needs libseccomp: ");
        return false;
    }
    return true;
}

bool sandbox_available(Error **errp)
{
    SeccompLib lib;

    return load_library(&lib, errp);
}

static uint32_t action(SandboxSet set)
{
    return set & (SANDBOX_ALWAYS | SANDBOX_OBSOLETE) ? SCMP_ACT_KILL_PROCESS
                                                     : SCMP_ACT_ERRNO(EPERM);
}

/* Threads by clone() stay; of clone3(), whose flags are in memory, the C library can do without. */
static int deny_new_processes(const SeccompLib *lib, scmp_filter_ctx ctx)
{
    struct scmp_arg_cmp no_thread = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
    int ret = lib->rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &no_thread);

    return ret < 0 ? ret : lib->rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);
}

/* Limits can be read by the same call that sets them. */
static int deny_new_limits(const SeccompLib *lib, scmp_filter_ctx ctx)
{
    struct scmp_arg_cmp sets = SCMP_A2(SCMP_CMP_NE, 0);

    return lib->rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, &sets);
}

static int fill(const SeccompLib *lib, scmp_filter_ctx ctx, unsigned sets)
{
    int ret = lib->attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);

    for (size_t i = 0; ret == 0 && i < G_N_ELEMENTS(calls); i++) {
        if (calls[i].set & sets) {
            ret = lib->rule_add(ctx, action(calls[i].set), calls[i].nr, 0, NULL);
        }
    }
    if (ret == 0 && sets & SANDBOX_SPAWN) {
        ret = deny_new_processes(lib, ctx);
    }
    if (ret == 0 && sets & SANDBOX_RESOURCES) {
        ret = deny_new_limits(lib, ctx);
    }
    return ret;
}

bool sandbox_enter(unsigned sets, Error **errp)
{
    SeccompLib lib;
    scmp_filter_ctx ctx;
    int ret;

    if (!load_library(&lib, errp)) {
        return false;
    }
    ctx = lib.init(SCMP_ACT_ALLOW);
    ret = ctx ? fill(&lib, ctx, sets | SANDBOX_ALWAYS) : -ENOMEM;
    if (ret == 0) {
        ret = lib.load(ctx);
    }
    if (ctx) {
        lib.release(ctx);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "failed to install the system call filter");
        return false;
    }
    return true;
}
