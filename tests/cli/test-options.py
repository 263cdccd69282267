#!/usr/bin/env python3
"""The command line, row by row: good values start a machine, bad ones end with one line.

    test-options.py QEMU [PATTERN]      prints TAP; only rows whose options PATTERN finds

A good row runs under -accel qtest with a monitor on stdio that is told to quit: exit
status 0 and nothing on stderr but what the row expects. A bad row must print its message
as the only line on stderr (hints may follow) and exit with status 1.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import struct
import subprocess
import sys
import tempfile

QEMU = sys.argv[1]
TMP = tempfile.mkdtemp(prefix="options-")
BASE = ["-M", "microvm", "-accel", "qtest", "-display", "none", "-monitor", "stdio"]


def path(name, data=None):
    full = os.path.join(TMP, name)
    if data is not None:
        with open(full, "wb") as f:
            f.write(data)
    return full


# A kernel for Multiboot, 64 bytes of file that end at 80 MiB.
MULTIBOOT = struct.pack("<8I", 0x1badb002, 1 << 16, -(0x1badb002 + (1 << 16)) & 0xffffffff,
                        16 << 20, 16 << 20, 0, 80 << 20, (16 << 20) + 32) + bytes(32)
DRIVE = "-drive id=d0,if=none,file={tmp}/disk,format=raw"
BLK = "-device virtio-blk-device,drive=d0"
PORT = "chardev=c -chardev null,id=c"

# Options, and what may stand on stderr (a regular expression; "" is nothing).
GOOD = [
    ("", ""),
    ("--nodefaults --no-user-config", ""),
    ("-nodefaults -no-user-config", ""),
    # -machine: merged, last one wins, bare keys, trailing comma
    ("-machine microvm", ""), ("-M microvm-1.0", ""), ("-M microvm,", ""),
    ("-machine type=microvm", ""), ("-M microvm,legacy", ""), ("-M microvm,legacy=on", ""),
    ("-M microvm,legacy=off", ""), ("-M microvm,isa-serial=off", ""),
    ("-M microvm,isa-serial=on", ""), ("-M legacy=off -M legacy=on", ""),
    ("-M microvm,pic=on,pit=on", ""), ("-M microvm,auto-kernel-cmdline=off", ""),
    ("-M microvm,mem-merge=off,dump-guest-core=off", ""),
    ("-M microvm,x-option-roms=off,acpi=off,rtc=off,pcie=off,usb=off,ioapic2=off", ""),
    ("-M microvm,acpi=auto", ""), ("-M microvm,acpi=on", ""), ("-M microvm,acpi=on -no-acpi", ""),
    ("-M none -no-acpi", ""), ("-M microvm,acpi=on,ioapic2=off", ""),
    ("-M microvm,acpi=on,ioapic2=on,virtio-mmio-base=0xfeb00000", ""), ("-M accel=qtest", ""),
    ("-M microvm,pcie=on", ".*pcie=on: this machine does not have PCI Express\n"),
    # -cpu, -smp, -m
    ("-trace virtio_* -trace enable=-virtio_notify -d trace:kvm_*", ""),
    ("-smp 4", ""), ("-smp cpus=2,maxcpus=4", ""), ("-smp 8,sockets=2,dies=1,cores=2,threads=2", ""),
    ("-smp 254", ""), ("-smp 1,cores=1,threads=1,sockets=1,maxcpus=1", ""),
    ("-m 64", ""), ("-m 64M", ""), ("-m 512m", ""), ("-m 1G", ""), ("-m size=256M", ""),
    ("-m 5G", ""), ("-m 256M,slots=4,maxmem=8G", ""), ("-m 0.5G", ""),
    ("-overcommit mem-lock=off", ""), ("-overcommit cpu-pm=off", ""),
    ("-mem-prealloc -m 16M", ""), ("-mem-path {tmp} -m 16M", ""),
    ("-object memory-backend-ram,id=r,size=64M -machine memory-backend=r -m 64M", ""),
    ("-object memory-backend-ram,id=r,size=64M -machine memory-backend=r", ""),
    ("-object secret,id=s,data=abc -object secret,id=t,format=base64,data=YWJj", ""),
    ("-object memory-backend-memfd,id=r,size=64M,share=on -numa node,memdev=r -m 64M", ""),
    ("-numa node,mem=64,cpus=0 -numa node,mem=64,cpus=1 -numa dist,src=0,dst=1,val=20 -smp 2", ""),
    ("-object memory-backend-memfd,id=r,size=64M -object memory-backend-ram,id=s,size=16M "
     "-numa node,memdev=r -numa node,memdev=s -numa cpu,node-id=1,core-id=1 "
     "-numa cpu,node-id=0,core-id=0 -smp 2", ""),
    ("-object memory-backend-file,id=r,size=16M,mem-path={tmp}/ram,share=on "
     "-machine memory-backend=r -m 16M", ""),
    ("-object {{\"qom-type\":\"memory-backend-ram\",\"id\":\"r\",\"size\":67108864}} "
     "-M memory-backend=r -m 64M", ""),
    ("-m 2G -m 128M", ""),
    # the process
    ("-name vm1", ""), ("-name guest=vm1,process=p,debug-threads=on", ""),
    ("-uuid 01234567-89ab-cdef-0123-456789ABCDEF", ""), ("-S", ""), ("-no-reboot", ""),
    ("--no-reboot -no-shutdown", ""), ("-action reboot=shutdown,shutdown=pause,panic=none -device pvpanic", ""),
    ("-action panic=exit-failure -device pvpanic", ""), ("-pidfile {tmp}/pid", ""), ("-msg timestamp=on", ""),
    ("-d guest_errors,unimp", ""), ("-d cpu_reset -D {tmp}/log", ""), ("-D {tmp}/log", ""),
    # serial ports and chardevs
    ("-serial null", ""), ("-serial none", ""), ("-serial null -serial null -serial null "
     "-serial null", ""), ("-serial file:{tmp}/out", ""), ("-serial unix:{tmp}/s,server,nowait", ""),
    ("-serial unix:{tmp}/s,server=on,wait=off", ""),
    ("-serial tcp:127.0.0.1:0,server=on,wait=off", ""),
    ("-chardev null,id=c -serial chardev:c", ""), ("-serial chardev:c -chardev null,id=c", ""),
    ("-chardev pty,id=c,server", ""), ("-chardev ringbuf,id=c,size=4K", ""),
    ("-chardev file,id=c,path={tmp}/f,append=on", ""), ("-chardev null,id=c,logfile={tmp}/l", ""),
    ("-chardev socket,id=c,path={tmp}/s2,server=on,wait=off", ""),
    ("-chardev socket,id=c,host=127.0.0.1,port=0,server=on,wait=off,nodelay", ""),
    ("-chardev socket,id=c,port=0,server=on,wait=off", ""),
    ("-chardev null,id=c,mux=on -serial chardev:c", ""),
    ("-chardev null,id=c -device isa-serial,chardev=c", ""),
    ("-device isa-serial,chardev=c,index=1 -chardev null,id=c", ""),
    ("-device isa-debug-exit", ""), ("-device isa-debug-exit,iobase=0xf4,iosize=0x04", ""),
    ("-device isa-debugcon,chardev=c -chardev null,id=c", ""),
    # networks
    ("-netdev user,id=n0 -device virtio-net-device,netdev=n0", ""),
    ("-device virtio-net-device,netdev=n0,mac=52:54:00:11:22:33,id=c -netdev user,id=n0", ""),
    ("-nic user", ""), ("-nic user,model=virtio,mac=52:54:00:11:22:33,hostfwd=tcp:127.0.0.1:0-:22", ""),
    ("-nic none", ""), ("-netdev user,id=n0", ".*warning: netdev n0 has no peer\\n"),
    ("-net nic -net user", ""), ("-net user,hostfwd=tcp:127.0.0.1:0-:22 -net nic,model=virtio", ""),
    ("-net nic,macaddr=52:54:00:11:22:33,netdev=n0,name=c -netdev user,id=n0", ""),
    ("-net none -net none", ""), ("-net nic", ".*warning: nic virtio-net-device has no peer\\n"),
    ("-net user", ".*warning: netdev #net000 has no peer\\n"),
    ("-nic user,restrict=on,net=192.168.9.0/24,dhcpstart=192.168.9.9,hostname=a,dnssearch=b", ""),
    ("-netdev {{\"type\":\"user\",\"id\":\"n0\"}} -device virtio-net-device,netdev=n0", ""),
    ("-nic stream,server=on,addr.type=unix,addr.path={tmp}/net", ""),
    ("-nic dgram,local.type=unix,local.path={tmp}/net2,remote.type=unix,remote.path={tmp}/net3", ""),
    ("-nic socket,listen=127.0.0.1:0", ""),
    ("-nic user,guestfwd=tcp:10.0.2.100:80-cmd:true", ""),
    ("-device virtio-net-device", ".*warning: nic virtio-net-device has no peer\\n"),
    # disks
    ("-drive if=virtio,format=raw,file={tmp}/disk", ""), (f"{DRIVE},if=virtio {BLK}", ""),
    (" ".join(["-drive if=virtio,format=raw,file=null-co://,file.read-zeroes=on"] * 8), ""),
    (DRIVE, "warning: drive d0 has no device: use if=virtio, or "
            "-device virtio-blk-device,drive=d0\\n"),
    ("-drive format=raw,file={tmp}/disk", "warning: drive none0 has no device: .*\\n"),
    (f"{DRIVE} {BLK}", ""), (f"{BLK} {DRIVE}", ""), (f"{DRIVE},readonly {BLK}", ""),
    (f"{DRIVE},read-only=on {BLK}", ""), (f"{DRIVE},cache=writethrough {BLK}", ""),
    (f"{DRIVE},cache=unsafe,aio=io_uring {BLK}", ""), (f"{DRIVE},aio=threads {BLK}", ""),
    (f"{DRIVE},cache=writeback,cache.no-flush=on {BLK}", ""),
    (f"{DRIVE},discard=unmap,detect-zeroes=unmap {BLK}", ""),
    (f"{DRIVE},detect-zeroes=unmap {BLK}", ""),
    (f"{DRIVE},discard=on,detect-zeroes=on {BLK}", ""), (f"{DRIVE},snapshot=on {BLK}", ""),
    (f"{DRIVE} {BLK} -snapshot", ""), (f"{DRIVE},werror=stop,rerror=ignore,serial=s {BLK}", ""),
    (f"{DRIVE},werror=enospc,media=disk,index=0,auto-read-only=on {BLK}", ""),
    (f"{DRIVE},media=cdrom,file.locking=off {BLK}", ""),
    ("-drive id=d0,if=none,file={tmp}/disk " + f"{BLK}",
     r"Image format was not specified .*\n.*restricted\.\n.*restrictions\.\n"),
    (f"-drive id=d0,if=none,file=null-co://,file.read-zeroes=on,format=raw {BLK}", ""),
    (f"-drive id=d0,if=none,driver=null-co,size=1M,read-zeroes=on {BLK}", ""),
    (f"-drive id=d0,if=none,format=raw,file.driver=file,file.filename={{tmp}}/disk {BLK}", ""),
    (f"{DRIVE} {BLK},id=x,serial=s,bootindex=1,write-cache=on,config-wce=off,share-rw=on,scsi=off", ""),
    (f"{DRIVE} {BLK},num-queues=4,queue-size=1024,discard=off,write-zeroes=off", ""),
    (f"{DRIVE} {BLK},logical_block_size=4096,physical_block_size=4K,min_io_size=4096", ""),
    (f"{DRIVE} {BLK},iothread=io0 -object iothread,id=io0,poll-max-ns=0", ""),
    (f"{DRIVE} {BLK},werror=report,rerror=auto,event_idx=off,indirect_desc=off,packed=on", ""),
    (f"{DRIVE} {BLK},bus=virtio-mmio-bus.7,iommu_platform=off", ""),
    (f"{DRIVE} -global virtio-mmio.force-legacy=on -global virtio-blk-device.queue-size=16 {BLK}", ""),
    ("-blockdev driver=raw,node-name=n,file.driver=file,file.filename={tmp}/disk "
     "-device virtio-blk-device,drive=n", ""),
    ("-blockdev {{\"driver\":\"file\",\"filename\":\"{tmp}/disk\",\"node-name\":\"f\","
     "\"auto-read-only\":true,\"discard\":\"unmap\"}} -blockdev {{\"node-name\":\"n\","
     "\"driver\":\"raw\",\"file\":\"f\",\"cache\":{{\"direct\":false,\"no-flush\":true}}}} "
     "-device {{\"driver\":\"virtio-blk-device\",\"drive\":\"n\",\"num-queues\":2}}", ""),
    # consoles, ports, entropy
    (f"-device virtio-serial-device -device virtconsole,{PORT}", ""),
    (f"-device virtconsole,name=n,nr=0,{PORT} -device virtio-serial-device,max_ports=1", ""),
    (f"-device virtserialport,bus=v.0,nr=3,name=org.x.0,id=p,{PORT} -device virtio-serial-device,id=v", ""),
    ("-device virtio-serial-device,emergency-write=off,max_ports=511", ""),
    (f"{DRIVE} -device virtio-scsi-device,id=s,num_queues=4 -device scsi-hd,drive=d0,bus=s.0,"
     "scsi-id=7,lun=9,serial=b,wwn=0x5000c50015ea71aa,rotation_rate=1 -device scsi-cd", ""),
    ("-device virtio-keyboard-device -device virtio-mouse-device,wheel-axis=off "
     "-device virtio-tablet-device,serial=t", ""),
    ("-device virtio-rng-device", ""), ("-device virtio-rng-device,max-bytes=1024,period=1000", ""),
    ("-device virtio-rng-device,rng=r -object rng-random,id=r,filename=/dev/urandom", ""),
    ("-object rng-builtin,id=r -device virtio-rng-device,rng=r,id=rng0", ""),
    (" ".join(["-device virtio-rng-device"] * 8), ""),
    ("-device virtio-balloon,free-page-reporting=on,id=b,deflate-on-oom=on "
     "-netdev user,id=n -device virtio-net,netdev=n -device virtio-serial -device virtio-rng "
     "-device virtio-scsi -device virtio-keyboard -device virtio-mouse -device virtio-tablet "
     "-global virtio-rng.period=5", ""),
    # the real-time clock
    ("-M microvm,rtc=on", ""), ("-M microvm,rtc=off", ""), ("-M microvm,rtc=auto -rtc base=utc", ""),
    ("-rtc base=utc,driftfix=slew,clock=host", ""), ("-rtc base=localtime", ""), ("-rtc utc", ""),
    ("-M rtc=on -rtc base=2006-06-17T16:01:21,clock=vm,driftfix=slew", ""),
    ("-M rtc=on -rtc base=2006-06-17,clock=rt,driftfix=none", ""),
    ("-M rtc=on -global mc146818rtc.lost_tick_policy=slew", ""),
    ("-global mc146818rtc.lost_tick_policy=discard", ""),
    ("-M rtc=on,legacy=on -device isa-debug-exit,iobase=0x72", ""),
    # what clients pass by habit
    ("-display none,gl=off", ""), ("-display type=none", ""), ("-vga none", ""), ("-parallel none", ""), ("-net none", ""), ("-no-hpet", ""), ("-no-acpi", ""),
    ("-boot strict=on", ""), ("-L {tmp} -watchdog-action none", ""),
    ("-bios qboot.rom", "-bios qboot.rom: warning: ignored: there is no firmware, .*\\n"),
    ("-audiodev none,id=audio1", ""), ("-audiodev {{\"id\":\"audio1\",\"driver\":\"none\"}}", ""),
    ("-smbios type=1,uuid=00000000-0000-0000-0000-000000000000", ""), ("-sandbox off", "info: -sandbox off: .*\n"),
    ("-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", ""),
    ("-run-with user=65534:65534,async-teardown=off", ""),
    ("-global kvm-pit.lost_tick_policy=discard", ""),
    ("-global foo.bar=1", r"warning: global foo\.bar has invalid class name\n"),
    ("-global virtio-blk-devic.serial=x", r"warning: .*class name: did you mean virtio-blk-device\?\n"),
    ("-trace virtio_queue_notif", r".*does not exist: did you mean virtio_queue_notify\?\n"),
    ("-global driver=foo,property=bar,value=1",
     r"warning: global foo\.bar has invalid class name\n"),
    ("-nodefaults -nographic", ""),
    ("-nodefaults -display vnc=0.0.0.0:42,password=on -nographic",
     r"-display vnc=0\.0\.0\.0:42,password=on: warning: ignored: there is no graphical .*\n"),
    ("-M legacy=off -serial null", r"warning: legacy=off leaves no serial port for -serial\n"),
    # the empty machine that management tools probe with
    ("-machine none", ""), ("-M none -m 2", ""), ("-M none -S", ""),
]

# Options, and the message: the line after "PROGRAM: " (a regular expression).
BAD = [
    ("-foo", "-foo: invalid option"), ("--foo", "--foo: invalid option"),
    ("-hda x", "-hda: there is no such drive: use -drive if=virtio,.*"), ("-fdb x", "-fdb: there is.*"),
    ("--cdrom x", "--cdrom: there is no such drive: .*"),
    ("-loadvm x", "no block device can store vmstate for snapshot"),
    ("-fw_cfg name=opt/a", ".*one of file= and string=.*"),
    ("-vnc :0", "-vnc: there is no graphical display"), ("-usb", "-usb: there is no USB"),
    ("-set device.x.y=z", "-set: use -global, or the option itself"),
    ("-seral stdio", "-seral: invalid option: did you mean -serial\\?"),
    ("--devcie x", "--devcie: invalid option: did you mean -device\\?"),
    ("-chardev scoket,id=c", ".*not a valid char driver name: did you mean socket\\?"),
    ("-object iothraed,id=c", ".*'iothraed': did you mean iothread\\?"),
    ("-netdev usr,id=n", ".*'usr': did you mean user\\?"),
    ("-netdev user,id=n,hostfdw=x", ".*Invalid parameter 'hostfdw': did you mean hostfwd\\?"),
    ("-netdev bridge,id=n,helper=/nonexistent", ".*bridge helper: Failed to execute child.*"),
    ("-netdev bridge,id=n,helper=/bin/false", ".*bridge helper failed: /bin/false \\(status 1\\)"),
    ("-netdev tap,id=n,helper=false,ifname=x", ".*are invalid with helper="),
    ("-netdev hubport,id=n", ".*Parameter 'hubid' is missing"),
    ("-object filter-dump,id=f,netdev=n,file=/x", ".*'netdev' expects a network backend id"),
    ("-netdev l2tpv3,id=n", ".*'l2tpv3': use dgram"),
    ("-device virtio-blk-devcie", ".*model name: did you mean virtio-blk-device\\?"),
    ("-device virtio-gpu", ".*model name: there is no graphical display, .*"),
    ("-device virtio-blk", ".*drive property not set"),
    ("-device isa-debug-exit,iobsae=1", ".*isa-debug-exit.iobsae' not found: did you mean iobase.*"),
    ("-nic user,hostfwd=tcp:192.0.2.1:1-:1", ".*Could not set up host forwarding rule '.*': .*assign.*"),
    ("-drive fil=x", ".*Invalid parameter 'fil': did you mean file\\?"),
    ("-drive file=x,formt=raw", ".*Invalid parameter 'formt': did you mean format\\?"),
    ("-drive file=x,cache=writebak", ".*invalid cache option: did you mean writeback\\?"),
    ("-drive file=x,aio=io_urng", ".*invalid aio option: did you mean io_uring\\?"),
    ("-drive if=virtoi,file=x", ".*unsupported bus type 'virtoi': did you mean virtio\\?"),
    ("-blockdev driver=qcow3,node-name=a", ".*Unknown driver 'qcow3': did you mean qcow2\\?"),
    ("-serial stdoi", ".*'stdoi' is not a valid char driver: did you mean stdio\\?"),
    ("-monitor unx:x", ".*'unx:x' is not a valid char driver: did you mean unix\\?"),
    ("-cpu hst", ".*unable to find CPU model 'hst': did you mean host\\?"),
    ("-d guest_error", ".*unknown log item 'guest_error': did you mean guest_errors\\?"),
    ("-chardev socket,id=c,pth=x", ".*Invalid parameter 'pth': did you mean path\\?"),
    ("-smp 2,core=2", ".*Invalid parameter 'core': did you mean cores\\?"),
    ("-m siz=1G", ".*Invalid parameter 'siz': did you mean size\\?"),
    ("-action panik=none", ".*Invalid parameter 'panik': did you mean panic\\?"),
    ("-watchdog-action rset", ".*accept value 'rset': did you mean reset\\?"),
    ("-rtc clock=hots", ".*'clock' does not accept value 'hots': did you mean host\\?"),
    ("-smbios type=1,uid=x", ".*Invalid parameter 'uid': did you mean uuid\\?"),
    ("-hd", "-hd: invalid option"), ("-hdaa", "-hdaa: invalid option"), ("--", "--: invalid option"),
    ("-watchdog-action x", ".*Parameter 'watchdog' does not accept value 'x'"),
    ("-kernel", "-kernel: requires an argument"), ("-m", "-m: requires an argument"),
    ("-M nosuch", "unsupported machine type"),
    ("-machine type=pc", "unsupported machine type: 'pc' is not here, use microvm"),
    ("-M q35", "unsupported .* use microvm"), ("-M pc-i440fx-7.2", "unsupported .* use microvm"),
    ("-M virt", "unsupported .* use microvm"), ("-M mircovm", "unsupported .* did you mean microvm.*"),
    ("-M microvm,bogus=1", "Property 'microvm-machine.bogus' not found"),
    ("-M microvm,pit=maybe", "Parameter 'pit' does not accept value 'maybe'"),
    ("-M microvm,legacy=3", "Parameter 'legacy' does not accept value '3'"),
    ("-M microvm,mem-merge=x", "Parameter 'mem-merge' expects 'on' or 'off'"),
    ("-M microvm,=1", "-M microvm,=1: Invalid parameter '=1'"),
    ("-M microvm,virtio-mmio-base=0xd0000001", ".*virtio-mmio-base=0xd0000001: .* aligned.*"),
    ("-M microvm,virtio-mmio-base=0xfe9fe000", ".*virtio-mmio-base=0xfe9fe000: .*"),
    ("-M microvm,virtio-mmio-base=0x1000", ".*virtio-mmio-base=0x1000: .*"),
    ("-M microvm,usb=on", ".*usb=on.*"), ("-M microvm,ioapic2=on", ".*ioapic2=on.*needs ACPI.*"),
    ("-M microvm,x-option-roms=on", ".*x-option-roms=on.*"),
    ("-M microvm,rtc=maybe", "Parameter 'rtc' does not accept value 'maybe'"),
    ("! -accel nosuch", "invalid accelerator nosuch"),
    ("! -M microvm,accel=nosuch", "invalid accelerator nosuch"),
    ("! -accel kmv", "invalid accelerator kmv: did you mean kvm\\?"),
    ("! -M microvm -accel", "-accel: requires an argument"),
    ("! -M none -accel qtest,foo=1", ".*Property 'qtest-accel.foo' not found"),
    ("-trace events=/nonexist", "-trace events=/nonexist: .*No such file or directory"),
    ("-trace bogus=1", "-trace bogus=1: Invalid parameter 'bogus'"),
    ("-smp 0", "-smp 0: Invalid CPU topology: .*"), ("-smp abc", ".*expects a number"),
    ("-smp 300", "-smp 300: Invalid SMP CPUs 300. The max CPUs supported by machine 'microvm' is 288"),
    ("-smp 3,cores=2", ".*product of the hierarchy must match maxcpus.*"),
    ("-smp 4,maxcpus=2", ".*"), ("-smp 2,foo=1", "-smp 2,foo=1: Invalid parameter 'foo'"),
    ("-m 0", "-m 0: a machine without RAM runs nothing"), ("-m size=0G", ".* without RAM .*"),
    ("-m abc", "-m abc: Parameter 'size' expects a non-negative number below 2\\^64"),
    ("-m -1", ".*expects a non-negative number.*"), ("-m 1X", ".*expects a non-negative number.*"),
    ("-m 16E", ".*too large.*"), ("-m 64,foo=1", ".*Invalid parameter 'foo'"),
    ("-m 1000000T", ".*"),
    ("-overcommit mem-lock=7", ".*Parameter 'mem-lock' expects 'on' or 'off'"),
    ("-overcommit foo=on", ".*Invalid parameter 'foo'"),
    ("-machine memory-backend=nosuch", "Memory backend 'nosuch' not found"),
    ("-object memory-backend-ram,id=r,size=64M -machine memory-backend=r -m 128M",
     "Size specified by -m option must match size of explicitly specified .*"),
    ("-object rng-builtin,id=a/b", ".*Parameter 'id' expects an identifier"),
    ("-numa node -numa node", r"total memory for NUMA nodes \(0x0\) should equal RAM size .*"),
    ("-numa node,memdev=no", "-numa node,memdev=no: Memory backend 'no' not found"),
    ("-numa node,cpus=0 -numa node,cpus=0 -smp 2",
     "-numa node,cpus=0: CPU is already assigned to node-id: 0"),
    ("-object memory-backend-ram,id=r", ".*"), ("-object memory-backend-ram,size=1M",
     ".*Parameter 'id' is missing"),
    ("-object secret,id=s", ".*Must provide 'file' or 'data'"),
    ("-object secret,id=s,data=a,file=b", ".*'file' and 'data' are mutually exclusive"),
    ("-object secret,id=s,file=/nonexist/x", ".*Unable to read /nonexist/x: No such file or directory"),
    ("-object secret,id=s,file=/", ".*Unable to read /: Is a directory"),
    ("-object secret,id=s,file=/dev/zero", ".*/dev/zero: a secret has at most 65536 bytes"),
    ("-object secret,id=s,data=-,format=base64", ".*Base64 data 'data' is not valid"),
    ("-object bogus,id=a", "-object bogus,id=a: Parameter 'qom-type' does not accept value 'bogus'"),
    ("-object memory-backend-file,id=r,size=16M", ".*mem-path property not set"),
    ("-object memory-backend-file,id=r,size=16M,mem-path=/nonexist/x", ".*No such file or directory"),
    ("-object memory-backend-ram,id=r,size=1M -object memory-backend-ram,id=r,size=1M",
     ".*duplicate.*"),
    ("-object memory-backend-ram,id=r,size=1M,foo=1", ".*Property 'memory-backend-ram.foo' not found"),
    ("-mem-path /nonexist/dir/x", ".*No such file or directory"),
    ("-uuid nope", "-uuid nope: failed to parse UUID string: wrong format"),
    ("-name guest=a,foo=b", ".*Invalid parameter 'foo'"),
    ("-action reboot=never", ".*Parameter 'reboot' does not accept value 'never'"),
    ("-action foo=bar", ".*Invalid parameter 'foo'"),
    ("-pidfile /nonexist/pid", "cannot create PID file: Could not create '/nonexist/pid': "
     "No such file or directory"),
    ("-monitor stdio -device nope", ".*'nope' is not a valid device model name"),
    ("-msg timestamp=x", ".*"), ("-msg foo=on", ".*Invalid parameter 'foo'"),
    ("-d nosuch", "-d nosuch: unknown log item 'nosuch'"), ("-D /nonexist/log", ".*No such file.*"),
    ("-display none,gl=on", ".*OpenGL is not supported by the display"),
    ("-display vnc=:1", "-display vnc=:1: there is no graphical display.*"),
    ("-nographic -display gtk", "-display gtk: .*'none'.*"),
    ("-display gtk", "-display gtk: .*'none'.*"), ("-vga std", "-vga std: .*'none'.*"),
    ("-rtc clock=x", ".*Parameter 'clock' does not accept value 'x'"),
    ("-rtc foo=1", ".*Invalid parameter 'foo'"),
    ("-rtc driftfix=x", ".*Parameter 'driftfix' does not accept value 'x'"),
    ("-rtc base=yesterday", "-rtc base=yesterday.*is neither utc, localtime nor a date.*"),
    ("-rtc base=2006-02-30", ".*is neither utc, localtime nor a date.*"),
    ("-rtc base=2006-06-17T25:00:00", ".*is neither utc, localtime nor a date.*"),
    ("-rtc base=2006-06-17T16:01:21Z", ".*is neither utc, localtime nor a date.*"),
    ("-M rtc=on -global mc146818rtc.lost_tick_policy=x",
     ".*Parameter 'lost_tick_policy' does not accept value 'x'"),
    ("-M rtc=on,legacy=on -device isa-debug-exit,iobase=0x71",
     ".*I/O ports 0x71-0x72 overlap those of 'rtc'"),
    ("-device pvpanic,ioport=0x51b -fw_cfg opt/a,string=b",
     ".*fw_cfg: I/O ports 0x510-0x51b overlap those of 'pvpanic'"),
    ("-device pvpanic,ioport=0x510 -device vmcoreinfo",
     "-device vmcoreinfo: fw_cfg: I/O ports 0x510-0x51b overlap those of 'pvpanic'"),
    ("-boot foo=1", ".*Invalid parameter 'foo'"),
    ("-audiodev pa,id=a", ".*Parameter 'driver' does not accept value 'pa'"),
    ("-sandbox maybe", ".*"), ("-sandbox on,foo=deny", ".*Invalid parameter 'foo'"),
    ("-sandbox on,spawn=children", ".*invalid argument 'children' of 'spawn'"),
    ("-user nosuchuser", ".*User \"nosuchuser\" doesn't exist .*"),
    ("-run-with user=1:x", ".*User \"1:x\" doesn't exist .*"),
    ("-run-with foo=on", ".*Invalid parameter 'foo'"),
    ("-run-with async-teardown=on", ".*async-teardown is not supported"),
    ("-chroot /nonexist", "cannot chroot to '/nonexist': No such file or directory"),
    ("-M none -kernel x", "The -kernel parameter is not supported by this machine"),
    ("-append foo", "-append only allowed with -kernel option"),
    ("-initrd {tmp}", "-initrd only allowed with -kernel option"),
    ("-kernel /nonexist", ".*could not open kernel file '/nonexist': No such file or directory"),
    ("-kernel {tmp}", ".*{tmp}.*"), ("-kernel {tmp}/empty", ".*{tmp}/empty.*"),
    ("-m 32 -kernel {tmp}/big", ".*RAM ends at 0x2000000: -m 80 or more"),
    ("-m 80 -kernel {tmp}/big -initrd {tmp}/disk",
     ".*disk: no room for it behind the kernel: -m 81 or more"),
    ("-kernel /dev/zero", ".*/dev/zero.*"),
    ("-device nope", "-device nope: 'nope' is not a valid device model name"),
    ("-device", "-device: requires an argument"), ("-device id=x", ".*Parameter 'driver' is missing"),
    ("-device isa-debug-exit,foo=1", ".*Property 'isa-debug-exit.foo' not found"),
    ("-device isa-debug-exit,id=1", ".*Parameter 'id' expects an identifier"),
    ("-device isa-debug-exit,iobase=0x10000", ".*"),
    ("-device isa-debug-exit,id=a -device isa-debug-exit,id=a,iobase=0x600", ".*Duplicate.*'a'.*"),
    ("-device isa-debug-exit -device isa-debug-exit", ".*"),
    ("-device isa-serial,chardev=nosuch", ".*Property 'isa-serial.chardev' can't find value 'nosuch'"),
    ("-netdev user", "-netdev user: Parameter 'id' is missing"),
    ("-netdev id=x", "-netdev id=x: Parameter 'type' is missing"),
    ("-netdev bogus,id=x", ".*Parameter 'type' does not accept value 'bogus'"),
    ("-netdev user,id=1x", ".*Parameter 'id' expects an identifier"),
    ("-netdev user,id=x,foo=1", ".*Invalid parameter 'foo'"),
    ("-netdev user,id=x -netdev user,id=x", "-netdev user,id=x: Duplicate ID 'x' for netdev"),
    ("-netdev tap,id=x,fd=99", ".*x: Can't use file descriptor 99: Bad file descriptor"),
    ("-netdev tap,id=x,fd=0", ".*Unable to query TUNGETIFF on FD 0: .*"),
    ("-netdev tap,id=x,fd=0,ifname=a", ".*ifname=.* are invalid with fd="),
    ("-netdev tap,id=x,vhost=off,vhostfd=3", r".*vhostfd\(s\)= is not valid without vhost"),
    ("-netdev socket,id=x", ".*exactly one of listen=, connect=, mcast= or udp= is required"),
    ("-netdev stream,id=x", ".*Parameter 'addr' is missing"),
    ("-netdev dgram,id=x", ".*dgram requires local= parameter"),
    ("-netdev stream,id=x,addr.type=unix,addr.path=/nonexist/s", ".*No such file or directory"),
    ("-net bogus", "-net bogus: Parameter 'type' does not accept value 'bogus'"),
    ("-net user,foo=1", "-net user,foo=1: Invalid parameter 'foo'"),
    ("-net nic,vectors=3", "-net nic,vectors=3: Invalid parameter 'vectors'"),
    ("-net nic,model=e1000", "-net .*'e1000' is not a supported NIC model: use virtio-net-device"),
    ("-net nic -net user -net user", "-net user: there is no hub for a second one: use -nic.*"),
    ("-nic user,model=e1000", ".*'e1000' is not a supported NIC model.*"),
    ("-device virtio-net-device,netdev=zz", ".*Property 'virtio-net-device.netdev' can't find value 'zz'"),
    ("-device virtio-net-device,mac=zz", ".*Property 'virtio-net-device.mac' doesn't take value 'zz'"),
    ("-device virtio-net-device,rx_queue_size=3", ".*Invalid rx_queue_size.*"),
    ("-netdev user,id=n -device virtio-net-device,netdev=n -device virtio-net-device,netdev=n",
     ".*Property 'virtio-net-device.netdev' can't take value 'n', it's in use"),
    # disks
    (f"{BLK}", ".*Property 'virtio-blk-device.drive' can't find value 'd0'"),
    ("-device virtio-blk-device", ".*drive property not set"),
    ("-drive if=none,id=d0", ".*Device needs media, but drive is empty"),
    ("-drive if=none,id=0,file=null-co://", ".*Parameter 'id' expects an identifier"),
    ("-drive if=none,id=d0,file=nbd:localhost:1",
     ".*Failed to connect to the NBD server: Connection refused"),
    ("-drive if=none,id=d0,file=fat:/tmp", ".*Unknown protocol 'fat'"),
    ("-drive if=none,id=d0,file=./a:b,format=raw", ".*Could not open './a:b': No such file.*"),
    ("-drive if=none,id=d0,file=/nonexist/x,format=raw", ".*Could not open '/nonexist/x': No such file.*"),
    (f"{DRIVE} {DRIVE}", ".*Duplicate ID 'd0' for drive"),
    (f"{DRIVE},format=vmdk", ".*Block format 'vmdk' is not supported.*"),
    (f"{DRIVE},format=nosuch", ".*Unknown driver 'nosuch'"), (f"{DRIVE},foo=1", ".*option 'foo'"),
    (f"{DRIVE},cache=fast", ".*invalid cache option"), (f"{DRIVE},aio=fast", ".*invalid aio option"),
    (f"{DRIVE},aio=native", ".*aio=native was specified, but it requires cache.direct=on.*"),
    (f"{DRIVE},werror=maybe", ".*'maybe' invalid write error action"),
    (f"{DRIVE},rerror=enospc", ".*'enospc' invalid read error action"),
    (f"{DRIVE},media=tape", ".*'tape' invalid media"), (f"{DRIVE},discard=maybe", ".*discard.*"),
    (f"{DRIVE},if=ide,index=1", ".*machine type does not support if=ide: use if=virtio"),
    (f"{DRIVE},if=foo", ".*unsupported bus type 'foo'"),
    (" ".join(f"-drive if=virtio,format=raw,file=null-co://,file.read-zeroes=on" for _ in range(9)),
     "-drive if=virtio: virtio8: .*"),
    (f"{DRIVE} {BLK} {BLK}", ".*Drive 'd0' is already in use by another device"),
    (f"{DRIVE} {BLK},queue-size=3", ".*invalid queue-size property.*"),
    (f"{DRIVE} {BLK},queue-size=2048", ".*invalid queue-size property.*"),
    (f"{DRIVE} {BLK},num-queues=0", ".*num-queues property must be between 1 and 1024"),
    (f"{DRIVE} {BLK},logical_block_size=1000", ".*logical_block_size.*powers of 2.*"),
    (f"{DRIVE} {BLK},scsi=on", ".*scsi=on is not supported.*"),
    (f"{DRIVE} {BLK},iothread=io7", ".*Device 'io7' not found"),
    (f"{DRIVE} {BLK},romfile=x", ".*Property 'virtio-blk-device.romfile' not found"),
    ("-blockdev driver=raw,node-name=n", ".*A block device must be specified for \"file\""),
    ("-blockdev driver=raw,file.filename=x", ".*'node-name' must be specified.*"),
    # consoles, ports, entropy, transports
    (f"-device virtconsole,{PORT}", ".*No 'virtio-serial-bus' bus found for device 'virtconsole'"),
    ("-device virtio-serial-device,max_ports=0", ".*Maximum number of serial ports not specified"),
    (f"-device virtio-serial-device -device virtserialport,nr=0,{PORT}", ".*Port number 0 .*reserved.*"),
    (f"-device virtio-serial-device,max_ports=2 -device virtserialport,nr=2,{PORT}",
     ".*Out-of-range port id specified, max. allowed: 1"),
    ("-device loader", ".*please include valid arguments: file=, or data= with data-len="),
    ("-device loader,data=1", ".*Both data and data-len must be specified"),
    ("-device loader,data=1,data-len=9", ".*data-len cannot be greater than 8 bytes"),
    ("-device loader,data=1,file={tmp}/disk", ".*Specifying a file is not supported.*"),
    ("-device loader,file={tmp}/disk,cpu-num=0", ".*cpu-num is not supported.*"),
    ("-device loader,file={tmp}/nope", ".*-device loader: {tmp}/nope: No such file or directory"),
    ("-device loader,file={tmp},addr=4096", ".*-device loader: {tmp}: Is a directory"),
    ("-device loader,addr=0xfee00000,data=1,data-len=4", ".*no RAM for 0x4 bytes at 0xfee00000"),
    ("! -M microvm -accel kvm,device=/dev/null", ".*'/dev/null' is not KVM's device"),
    ("-writeconfig x", ".*configuration files are not written"),
    ("-readconfig {tmp}", ".*-readconfig {tmp}: Is a directory"),
    ("-device scsi-cd", ".*No 'SCSI' bus found for device 'scsi-cd'"),
    ("-device virtio-scsi-device -device scsi-hd", ".*drive property not set"),
    ("-device virtio-keyboard-device,wheel-axis=on", ".*'virtio-keyboard-device.wheel-axis' not found"),
    ("-device virtio-mouse-device,serial=" + "x" * 129, ".*serial is longer than 128 bytes"),
    ("-device usb-tablet", ".*use virtio-keyboard-device, virtio-mouse-device or virtio-tablet-device"),
    ("-device virtio-rng-device,rng=nosuch", ".*Device 'nosuch' not found"),
    ("-device virtio-rng-device,period=0", ".*'period' parameter expects a positive integer"),
    (" ".join(["-device virtio-rng-device"] * 9),
     ".*no room for device 'virtio-rng-device': all 8 transports are in use"),
    ("-device virtio-rng-device,bus=virtio-mmio-bus.3 -device virtio-rng-device,bus=virtio-mmio-bus.3",
     ".*Bus 'virtio-mmio-bus.3' is full"),
    ("-device virtio-rng-device,bus=virtio-mmio-bus.8", ".*Bus 'virtio-mmio-bus.8' not found"),
    ("-chardev null", "-chardev null: chardev: no id specified"),
    ("-chardev bogus,id=a", "-chardev bogus,id=a: 'bogus' is not a valid char driver name"),
    ("-chardev null,id=a -chardev null,id=a", ".*Duplicate ID 'a' for chardev"),
    ("-chardev file,id=a", ".*no filename given"), ("-chardev file,id=a,path=/nonexist/f", ".*No such file.*"),
    ("-chardev socket,id=a", ".*"), ("-chardev socket,id=a,path=/nonexist/s,server=on,wait=off", ".*"),
    ("-chardev socket,id=a,path={tmp}/nobody", "-chardev .*Failed to connect to '.*nobody': .*"),
    ("-serial unix:" + "x" * 120 + ",server=on,wait=off", ".*"),
    ("-serial bogus", "-serial bogus: .*"), ("-serial chardev:nosuch", ".*nosuch.*"),
    ("-serial null -serial null -serial null -serial null -serial null", ".*at most 4 serial ports"),
    ("-M legacy=off -device isa-debug-exit",
     ".*No 'ISA' bus found for device 'isa-debug-exit'"),
    ("-daemonize -serial stdio", ".*cannot use stdio with -daemonize"),
    ("-daemonize -nographic", "-nographic cannot be used with -daemonize"),
    ("image.raw", "image.raw: drives must be given by -drive or -blockdev"),
]

# Options, what is typed, and a pattern in what appears: C-a as on a terminal.
TYPED = [
    ("-M microvm -accel qtest -nographic", "\x01x", "QEMU: Terminated"),
    ("-M microvm -accel qtest -nographic", "\x01cinfo status\nquit\n", r"VM status: "),
    ("-M microvm -accel qtest -nographic -echr 20", "\x14x", "QEMU: Terminated"),
    ("-M microvm -accel qtest -nodefaults -serial mon:stdio", "\x01h\x01x", r"C-a x +"),
    ("-M microvm -accel qtest -nodefaults -chardev stdio,mux=on,id=c -serial chardev:c -mon c",
     "\x01x", "QEMU: Terminated"),
]

# Options that print and leave, and a pattern in what they print.
PRINTS = [
    ("-version", r"\AQEMU emulator version 7\.2\.0 \(microvm \d+\.\d+\.\d+\)\n"),
    ("--version", r"\AQEMU emulator version 7\.2\.0 "),
    ("-h", r"\AQEMU emulator version 7\.2\.0 .*\n(.*\n)*usage: "), ("--help", r"-kernel FILE"),
    ("-h", r"\n\nDisks:\n-drive file=(.*\n)*\nNetworks:\n-netdev (.*\n)*\nExamples:\n"),
    ("-M help", r"\ASupported machines are:\n"), ("-machine help", r"\nmicrovm +microvm \(i386\)"),
    ("-M help", r"\nnone +empty machine"), ("-M '?'", r"microvm"),
    ("-M microvm,help", r"microvm-machine options:\n(.*\n)*  legacy=<OnOffAuto> +- "),
    ("-accel help", r"\AAccelerators supported in QEMU binary:\n(.*\n)*kvm\n"),
    ("-cpu help", r"(?i)\bhost\b"), ("-device help", r'name "isa-serial", bus ISA'),
    ("-device isa-serial,help", r"isa-serial options:\n(.*\n)*  chardev=<str>"),
    ("-chardev help", r"\AAvailable chardev backend types: \n(.*\n)*  socket\n"),
    ("-object help", r"\AList of user creatable objects:\n(.*\n)*  memory-backend-memfd\n"),
    ("-object memory-backend-ram,help", r"size=<size>"), ("-d help", r"guest_errors"),
    ("-display help", r"none"),
    ("-device virtio-blk-device,help", r"virtio-blk-device options:\n(.*\n)*  drive=<str>"),
    ("-device virtio-net-device,help", r"\n  netdev=<str>"), ("-device virtconsole,help", "chardev="),
    ("-device virtio-rng-device,help", r"\n  max-bytes=<uint64>"), ("-device '?'", "virtserialport"),
    ("-netdev help", r"\AAvailable netdev backend types:\n(.*\n)*user\n"),
    ("-netdev user,help", r"\n  hostfwd=<str>"), ("-object iothread,help", "poll-max-ns"),
    ("-drive help", r"\Adrive options:\n(.*\n)*  file=<str> +- the image"),
    ("-drive file=x,help", r"\Adrive options:\n"), ("-blockdev help", r"  raw\n"),
    ("-blockdev raw,help", r"  read-only=<bool>"), ("-accel kvm,help", "  kernel-irqchip=<str>"),
    ("-cpu max,help", r"\bhost\b"),
    *[(f"-{option} {word}", r"\ADEV is one of\n(.*\n)*  stdio +this terminal\n")
      for option in ("serial", "monitor", "qmp", "qmp-pretty", "gdb") for word in ("help", "'?'")],
    ("-m help", r"\A-m \[size=\]MEGS +size of RAM"), ("-smp help", r"\A-smp \[cpus=\]N\[,maxcpus"),
    *[(f"-{option} help", rf"\A-{option} (.*\n)+\Z")
      for option in ("rtc", "action", "msg", "smbios", "fw_cfg", "numa", "overcommit", "sandbox",
                     "run-with", "add-fd", "mon", "name")],
    # Each device says what it is.
    ("-device help", r'\A(name "[^"]+".* desc "[^"]+"\n)+\Z'),
]


def run(options, stdin):
    words = options.replace("'", "").split()
    env = dict(os.environ)
    if "-sandbox" in words:     # where a sanitizer cannot search for leaks
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    try:
        return subprocess.run([QEMU] + words, input=stdin, capture_output=True, text=True, env=env,
                              errors="replace", timeout=60, check=False)
    except subprocess.TimeoutExpired:   # what was to be refused is accepted
        return subprocess.CompletedProcess(words, "none: it runs", "", "")


def expand(options):
    return options.format(tmp=TMP)


def check_good(options, expect):
    result = run(" ".join(BASE) + " " + expand(options), "quit\n")
    stderr = re.sub(r"^.*?: ", "", result.stderr, count=1) if expect else result.stderr
    if result.returncode != 0 or not re.fullmatch(expect, stderr):
        return f"status {result.returncode}, stderr {result.stderr!r}"
    return None


def check_typed(options, expect):
    typed, pattern = expect
    result = run(options, typed)
    if result.returncode != 0 or not re.search(pattern, result.stdout):
        return f"status {result.returncode}, {result.stdout!r}, {result.stderr!r}"
    return None


def check_bad(options, expect):
    pattern = expect.replace("{tmp}", re.escape(TMP))
    base = "" if options.startswith("!") else " ".join(BASE[:-2]) + " "
    result = run(base + expand(options).lstrip("!"), "")
    first, _, _ = result.stderr.partition("\n")
    if result.returncode != 1:
        return f"status {result.returncode}, stderr {result.stderr!r}"
    if not re.fullmatch(os.path.basename(QEMU) + ": " + pattern, first):
        return f"stderr {result.stderr!r}"
    if result.stderr.count(os.path.basename(QEMU) + ": ") != 1:
        return f"more than one line: {result.stderr!r}"
    return f"a prompt: {result.stdout!r}" if "(qemu)" in result.stdout else None


def check_prints(options, expect):
    result = run(options, "")
    if result.returncode != 0 or result.stderr or not re.search(expect, result.stdout):
        return f"status {result.returncode}, stdout {result.stdout[:500]!r}, {result.stderr!r}"
    return None


def main():
    path("empty", b"")
    path("big", MULTIBOOT)
    path("disk", bytes(1 << 20))
    cases = [(check_prints, o, e) for o, e in PRINTS] + \
            [(check_typed, o, (t, e)) for o, t, e in TYPED] + \
            [(check_good, o, e) for o, e in GOOD] + [(check_bad, o, e) for o, e in BAD]
    cases = [case for case in cases if re.search("".join(sys.argv[2:3]), case[1])]
    print(f"1..{len(cases)}")
    failed = 0
    for n, (check, options, expect) in enumerate(cases, 1):
        try:
            problem = check(options, expect)
        except subprocess.TimeoutExpired:
            problem = "timed out"
        name = f"{check.__name__[6:]}: {options[:90]}".replace("#", " ")
        print(f"{'not ok' if problem else 'ok'} {n} - {name}", flush=True)
        if problem:
            failed += 1
            print(f"#   {problem}")
    subprocess.run(["rm", "-rf", TMP], check=False)
    return 1 if failed else 0


sys.exit(main())
