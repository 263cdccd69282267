/*
 * floor VMLINUX INITRD CMDLINE MIB: the least that boots Linux under KVM.
 *
 * One CPU, the in-kernel interrupt controllers, one memory slot, no device: what
 * any VMM costs on this host at the very least. No error handling to speak of;
 * for comparison in benchmarks only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZERO_PAGE 0x7000
#define PML4 0x9000
#define PDPT 0xa000
#define PD 0xb000
#define CMDLINE 0x20000

static uint8_t *ram;

static void must(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

/* Read a file's piece into guest memory. */
static void load(int fd, off_t off, size_t len, uint64_t addr)
{
    must(pread(fd, ram + addr, len, off) == (ssize_t)len, "read");
}

static uint64_t load_elf(const char *name)
{
    Elf64_Ehdr eh;
    Elf64_Phdr ph;
    int fd = open(name, O_RDONLY);

    must(fd >= 0 && pread(fd, &eh, sizeof(eh), 0) == sizeof(eh), name);
    for (int i = 0; i < eh.e_phnum; i++) {
        must(pread(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)) == sizeof(ph), name);
        if (ph.p_type == PT_LOAD) {
            load(fd, ph.p_offset, ph.p_filesz, ph.p_paddr);
        }
    }
    close(fd);
    return eh.e_entry;
}

static void boot_params(const char *initrd, const char *cmdline, uint64_t size)
{
    struct boot_params *bp = (void *)(ram + ZERO_PAGE);
    int fd = open(initrd, O_RDONLY);
    struct stat st;
    uint64_t addr;

    must(fd >= 0 && fstat(fd, &st) == 0, initrd);
    addr = (size - st.st_size) & ~0xfffULL;
    load(fd, 0, st.st_size, addr);
    close(fd);
    strcpy((char *)ram + CMDLINE, cmdline);
    bp->hdr.type_of_loader = 0xff;
    bp->hdr.boot_flag = 0xaa55;
    bp->hdr.header = 0x53726448;
    bp->hdr.kernel_alignment = 0x1000000;
    bp->hdr.cmd_line_ptr = CMDLINE;
    bp->hdr.cmdline_size = strlen(cmdline);
    bp->hdr.ramdisk_image = addr;
    bp->hdr.ramdisk_size = st.st_size;
    bp->e820_entries = 2;
    bp->e820_table[0] = (struct boot_e820_entry) { 0, 0x9fc00, 1 };
    bp->e820_table[1] = (struct boot_e820_entry) { 0x100000, size - 0x100000, 1 };
}

static void page_tables(void)
{
    uint64_t *pd = (uint64_t *)(ram + PD);

    *(uint64_t *)(ram + PML4) = PDPT | 3;
    *(uint64_t *)(ram + PDPT) = PD | 3;
    for (uint64_t i = 0; i < 512; i++) {
        pd[i] = i << 21 | 0x83;
    }
}

static void segment(struct kvm_segment *s, int code)
{
    *s = (struct kvm_segment) {
        .limit = 0xffffffff, .selector = code ? 0x10 : 0x18, .type = code ? 11 : 3,
        .present = 1, .db = !code, .s = 1, .l = code, .g = 1,
    };
}

static void set_registers(int vcpu, uint64_t entry)
{
    struct kvm_regs regs = { .rip = entry, .rsi = ZERO_PAGE, .rsp = 0x8ff0, .rflags = 2 };
    struct kvm_sregs sregs;

    ioctl(vcpu, KVM_GET_SREGS, &sregs);
    segment(&sregs.cs, 1);
    segment(&sregs.ds, 0);
    sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
    sregs.cr3 = PML4;
    sregs.cr4 = 0x20;
    sregs.cr0 = 0x80050033;
    sregs.efer = 0x500;
    must(ioctl(vcpu, KVM_SET_SREGS, &sregs) == 0, "sregs");
    must(ioctl(vcpu, KVM_SET_REGS, &regs) == 0, "regs");
}

int main(int argc, char **argv)
{
    struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 e[128]; } cpuid = {
        .head.nent = 128,
    };
    struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
    uint64_t size, entry;
    int kvm, vm, vcpu;
    struct kvm_run *run;

    must(argc == 5, "usage: floor VMLINUX INITRD CMDLINE MIB");
    size = strtoull(argv[4], NULL, 0) << 20;
    kvm = open("/dev/kvm", O_RDWR);
    vm = ioctl(kvm, KVM_CREATE_VM, 0);
    must(vm >= 0, "KVM");
    ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000);
    ioctl(vm, KVM_CREATE_IRQCHIP, 0);
    ioctl(vm, KVM_CREATE_PIT2, &pit);
    ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &(struct kvm_userspace_memory_region) {
             .memory_size = size, .userspace_addr = (uintptr_t)ram }) == 0, "memory");
    entry = load_elf(argv[1]);
    boot_params(argv[2], argv[3], size);
    page_tables();
    vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED,
               vcpu, 0);
    ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
    for (unsigned i = 0; i < cpuid.head.nent; i++) {
        if (cpuid.e[i].function == 1) {
            cpuid.e[i].ecx |= 1u << 31; /* a hypervisor, whose clock saves the wait for an RTC */
        }
    }
    must(ioctl(vcpu, KVM_SET_CPUID2, &cpuid) == 0, "cpuid");
    set_registers(vcpu, entry);
    while (ioctl(vcpu, KVM_RUN, 0) == 0 && run->exit_reason != KVM_EXIT_SHUTDOWN) {
        if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN) {
            memset((char *)run + run->io.data_offset, 0xff, run->io.size * run->io.count);
        }
    }
    return run->exit_reason == KVM_EXIT_SHUTDOWN ? 0 : 1;
}
