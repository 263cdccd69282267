/*
 * Makes the filter of one kind of thread from the list that it is compiled with: C source on
 * standard output. OTHERWISE is what happens to calls that are not in the list. Runs when the
 * product is built.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <linux/vhost.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu/confine.h"

/* A system call that is allowed; with an argument only where (argument & mask) == value. */
typedef struct Call {
    int nr;
    int arg;            /* -1: whatever its arguments */
    uint64_t mask, value;
    int err;            /* not 0: it is not allowed but fails with this, as it may elsewhere */
} Call;

#define CALL(name) { SCMP_SYS(name), -1, 0, 0, 0 }
#define CALL_ARG(name, arg, value) { SCMP_SYS(name), arg, UINT32_MAX, value, 0 }
#define CALL_MASKED(name, arg, mask, value) { SCMP_SYS(name), arg, mask, value, 0 }
#define CALL_ERRNO(name, err) { SCMP_SYS(name), -1, 0, 0, err }
#define CALL_MASKED_ERRNO(name, arg, mask, value, err) { SCMP_SYS(name), arg, mask, value, err }

static const Call calls[] = {
#include CALLS
};

static void check(int ret, const char *what)
{
    if (ret < 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(-ret));
        exit(1);
    }
}

static void add_rule(scmp_filter_ctx ctx, const Call *call)
{
    struct scmp_arg_cmp cmp = SCMP_CMP64(call->arg, SCMP_CMP_MASKED_EQ, call->mask, call->value);
    uint32_t action = call->err ? SCMP_ACT_ERRNO(call->err) : SCMP_ACT_ALLOW;

    check(seccomp_rule_add_array(ctx, action, call->nr, call->arg >= 0, &cmp),
          "seccomp_rule_add_array");
}

int main(int argc, char **argv)
{
    scmp_filter_ctx ctx = seccomp_init(OTHERWISE);
    FILE *program = tmpfile();
    struct sock_filter insn;

    if (argc != 2 || !ctx || !program) {
        fprintf(stderr, "usage: thread-filter NAME\n");
        return 1;
    }
    /* Numbers of other calling conventions: the end of the process, not of one thread of it. */
    check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
          "seccomp_attr_set");
    /* A binary tree of the numbers, not a line of them. */
    check(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2), "seccomp_attr_set");
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        add_rule(ctx, &calls[i]);
    }
    check(seccomp_export_bpf(ctx, fileno(program)), "seccomp_export_bpf");
    rewind(program);
    printf("#include <linux/filter.h>\n#include \"qemu/confine.h\"\n\n"
           "extern const char syscall_names[];\n\nstatic const struct sock_filter insns[] = {\n");
    while (fread(&insn, sizeof(insn), 1, program) == 1) {
        printf("    { %#x, %u, %u, %#x },\n", insn.code, insn.jt, insn.jf, insn.k);
    }
    printf("};\n\nextern const ThreadFilter %s_filter;\nconst ThreadFilter %s_filter = {\n"
           "    insns, sizeof(insns) / sizeof(insns[0]), syscall_names,\n};\n", argv[1], argv[1]);
    return ferror(program) || fflush(stdout) ? 1 : 0;
}
