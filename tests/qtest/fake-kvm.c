/*
 * A KVM that runs no guest, to be preloaded: for what a real one does not do on demand.
 *
 * /dev/kvm opens and takes every request; KVM_RUN waits for a signal, and other requests
 * for its vCPU wait for its return. In the folder
 * that the environment variable FAKE_KVM names,
 *   fail    has lines "REQUEST ARGUMENT RESULT" (numbers; argument -1: any): what such a
 *           request returns, negative for an errno
 *   exits   is a FIFO of lines "REASON WORD WORD WORD WORD": how KVM_RUN returns next,
 *           the words being what lies behind the exit's common fields
 *   log     gets a line for each KVM_SET_GUEST_DEBUG: "CPU CONTROL DR0 DR1 DR2 DR3 DR7"
 *   caps    gets a line for each KVM_ENABLE_CAP: "CAPABILITY ARGUMENT"
 *   cpuid   gets a line for each leaf of KVM_SET_CPUID2: "CPU LEAF EAX EBX ECX EDX"
 * With FAKE_PVM in the environment it is PVM's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <cpuid.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FD      1024
#define RUN_SIZE    8192

/* By descriptor: 0 none of ours, 1 /dev/kvm or a VM, 2 a vCPU. */
static atomic_int kinds[MAX_FD];
static struct kvm_run *runs[MAX_FD];
static unsigned long apic_ids[MAX_FD];
static pthread_mutex_t busy[MAX_FD];

static FILE *open_file(const char *name, const char *mode)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", getenv("FAKE_KVM"), name);
    return fopen(path, mode);
}

static int new_fd(int kind)
{
    int fd = memfd_create("kvm", MFD_CLOEXEC);

    if (fd < 0 || fd >= MAX_FD || ftruncate(fd, RUN_SIZE) < 0) {
        abort();
    }
    kinds[fd] = kind;
    return fd;
}

static int fake_open(const char *path, int flags, mode_t mode)
{
    return strcmp(path, "/dev/kvm") ? (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode) :
        new_fd(1);
}

/* Under their own names they would fight with the headers' inline versions. */
int shim_open(const char *path, int flags, ...) __asm__("open");
int shim_open64(const char *path, int flags, ...) __asm__("open64")
    __attribute__((alias("open")));
int shim_access(const char *path, int mode) __asm__("access");
int shim_close(int fd) __asm__("close");
int shim_ioctl(int fd, unsigned long request, ...) __asm__("ioctl");

int shim_open(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return fake_open(path, flags, mode);
}

/* PVM's KVM or a processor's, whatever this host has. */
int shim_access(const char *path, int mode)
{
    if (!strncmp(path, "/sys/module/kvm_", 16)) {
        if (!getenv("FAKE_PVM") == !strcmp(path, "/sys/module/kvm_pvm")) {
            errno = ENOENT;
            return -1;
        }
        return 0;
    }
    return strcmp(path, "/dev/kvm") ? (int)syscall(SYS_access, path, mode) : 0;
}

int shim_close(int fd)
{
    if (fd >= 0 && fd < MAX_FD) {
        kinds[fd] = 0;
    }
    return syscall(SYS_close, fd);
}

/* What the file "fail" says of a request; false: nothing. */
static bool told_result(unsigned long request, unsigned long arg, int *result)
{
    unsigned long long of;
    long long with;
    FILE *f = open_file("fail", "re");
    bool found = false;

    while (f && !found && fscanf(f, "%llu %lld %d", &of, &with, result) == 3) {
        found = of == request && (with == -1 || (unsigned long long)with == arg);
    }
    if (f) {
        fclose(f);
    }
    return found;
}

static int check_extension(unsigned long cap)
{
    switch (cap) {
    case KVM_CAP_NR_MEMSLOTS:
        return 32;
    case KVM_CAP_COALESCED_MMIO:
    case KVM_CAP_XSAVE2:
        return 0;
    default:
        return 1;
    }
}

/* As on this processor, without what our answers to other requests do not go with. */
static int supported_cpuid(struct kvm_cpuid2 *list)
{
    static const uint32_t leaves[] = { 0, 1, 0x80000000, 0x80000001, 0x80000008, 0x40000001 };
    unsigned n = sizeof(leaves) / sizeof(leaves[0]);

    if (list->nent < n) {
        return -E2BIG;
    }
    list->nent = n;
    for (unsigned i = 0; i < n; i++) {
        struct kvm_cpuid_entry2 *e = &list->entries[i];

        *e = (struct kvm_cpuid_entry2) { .function = leaves[i] };
        __get_cpuid(leaves[i], &e->eax, &e->ebx, &e->ecx, &e->edx);
    }
    list->entries[0].eax = 1;
    list->entries[1].ecx &= ~(1u << 26 | 1u << 27);     /* XSAVE */
    list->entries[1].ecx |= 1u << 21;                   /* x2APIC: KVM always has it */
    list->entries[2].eax = 0x80000008;
    return 0;
}

static int make_vcpu(unsigned long apic_id)
{
    int fd = new_fd(2);

    runs[fd] = mmap(NULL, RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    apic_ids[fd] = apic_id;
    pthread_mutex_init(&busy[fd], NULL);
    return fd;
}

static int log_debug(int fd, const struct kvm_guest_debug *d)
{
    FILE *f = open_file("log", "ae");

    fprintf(f, "%lu 0x%x", apic_ids[fd], d->control);
    for (unsigned i = 0; i < 8; i++) {
        if (i < 4 || i == 7) {
            fprintf(f, " 0x%llx", d->arch.debugreg[i]);
        }
    }
    fprintf(f, "\n");
    fclose(f);
    return 0;
}

static int log_cpuid(int fd, const struct kvm_cpuid2 *list)
{
    FILE *f = open_file("cpuid", "ae");

    for (unsigned i = 0; i < list->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &list->entries[i];

        fprintf(f, "%lu 0x%x 0x%x 0x%x 0x%x 0x%x\n", apic_ids[fd], e->function, e->eax,
                e->ebx, e->ecx, e->edx);
    }
    fclose(f);
    return 0;
}

/* A line from the FIFO: how the vCPU comes back. */
static bool next_exit(struct kvm_run *run, int fifo)
{
    char line[256];
    uint64_t words[4] = { 0 };
    size_t n = 0;
    unsigned reason;

    while (n < sizeof(line) - 1 && read(fifo, line + n, 1) == 1 && line[n] != '\n') {
        n++;
    }
    line[n] = '\0';
    if (sscanf(line, "%u %" SCNi64 " %" SCNi64 " %" SCNi64 " %" SCNi64, &reason,
               (int64_t *)&words[0], (int64_t *)&words[1], (int64_t *)&words[2],
               (int64_t *)&words[3]) < 1) {
        return false;
    }
    run->exit_reason = reason;
    memcpy(&run->hw, words, sizeof(words));
    return true;
}

static int run_vcpu(int fd)
{
    static int fifo = -1;
    struct kvm_run *run = runs[fd];

    if (fifo < 0 && !apic_ids[fd]) {
        char path[512];

        snprintf(path, sizeof(path), "%s/exits", getenv("FAKE_KVM"));
        fifo = fake_open(path, O_RDWR | O_CLOEXEC, 0);
    }
    while (!__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST)) {
        struct pollfd p = { .fd = apic_ids[fd] ? -1 : fifo, .events = POLLIN };

        /* A signal between the look and the wait costs this long. */
        if (poll(&p, 1, 5) == 1 && next_exit(run, fifo)) {
            return 0;
        }
    }
    return -EINTR;
}

static int vcpu_request(int fd, unsigned long request, void *arg)
{
    switch (request) {
    case KVM_RUN:
        return run_vcpu(fd);
    case KVM_SET_GUEST_DEBUG:
        return log_debug(fd, arg);
    case KVM_SET_CPUID2:
        return log_cpuid(fd, arg);
    case KVM_GET_MSRS:
    case KVM_SET_MSRS:
        return ((struct kvm_msrs *)arg)->nmsrs;
    case KVM_GET_SREGS:
        *(struct kvm_sregs *)arg = (struct kvm_sregs) { .cr0 = 0x60000010 };
        return 0;
    case KVM_GET_REGS:
        *(struct kvm_regs *)arg = (struct kvm_regs) { .rip = 0xfff0, .rax = 0x123456789abc };
        return 0;
    case KVM_GET_DEBUGREGS:
        memset(arg, 0, sizeof(struct kvm_debugregs));
        return 0;
    default:
        return 0;
    }
}

/* As in the kernel: whoever asks about a vCPU waits until it is not in KVM_RUN. */
static int one_at_a_time(int fd, unsigned long request, void *arg)
{
    int ret;

    pthread_mutex_lock(&busy[fd]);
    ret = vcpu_request(fd, request, arg);
    pthread_mutex_unlock(&busy[fd]);
    return ret;
}

static int log_cap(const struct kvm_enable_cap *cap)
{
    FILE *f = open_file("caps", "a");

    if (f) {
        fprintf(f, "%u %llu\n", cap->cap, (unsigned long long)cap->args[0]);
        fclose(f);
    }
    return 0;
}

static int system_request(unsigned long request, void *arg)
{
    switch (request) {
    case KVM_GET_API_VERSION:
        return 12;
    case KVM_CHECK_EXTENSION:
        return check_extension((unsigned long)arg);
    case KVM_ENABLE_CAP:
        return log_cap(arg);
    case KVM_CREATE_VM:
        return new_fd(1);
    case KVM_CREATE_VCPU:
        return make_vcpu((unsigned long)arg);
    case KVM_GET_VCPU_MMAP_SIZE:
        return RUN_SIZE;
    case KVM_GET_SUPPORTED_CPUID:
        return supported_cpuid(arg);
    default:
        return 0;
    }
}

int shim_ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;
    int ret;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (fd < 0 || fd >= MAX_FD || !kinds[fd]) {
        return syscall(SYS_ioctl, fd, request, arg);
    }
    if (!told_result(request, (unsigned long)arg, &ret)) {
        ret = kinds[fd] == 2 ? one_at_a_time(fd, request, arg) : system_request(request, arg);
    }
    if (ret < 0) {
        errno = -ret;
        return -1;
    }
    return ret;
}
