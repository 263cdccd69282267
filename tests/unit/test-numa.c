/*
 * -numa: what is refused and what is left out; RAM of several backends; SRAT and SLIT.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/acpi/acpi.h"
#include "qemu/cutils.h"
#include "qemu/le.h"
#include "sysemu/hostmem.h"
#include "sysemu/numa.h"

static const MachineClass machine = {
    .oc = { .name = "microvm", .parent = &machine_base_class,
            .instance_size = sizeof(MachineState) },
    .default_ram_size = 4 * MiB,
    .default_ram_id = "ram",
    .max_cpus = 254,
};

static MachineState *machine_new(unsigned cpus)
{
    MachineState *ms = (MachineState *)object_new(&machine.oc, NULL);
    g_autofree char *smp = g_strdup_printf("%u,sockets=2", cpus);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(smp, "cpus", NULL);
    static const char *const backends[] = {
        "memory-backend-ram,id=a,size=1M", "memory-backend-memfd,id=b,size=3M",
        "memory-backend-ram,id=c,size=8K",
    };

    g_assert_true(machine_parse_smp(ms, opts, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(backends); i++) {
        g_autoptr(QemuOpts) backend = qemu_opts_parse(backends[i], "qom-type", NULL);

        g_assert_nonnull(machine_add_object(ms, backend, NULL));
    }
    return ms;
}

/* Options between blanks, then completed. What was refused, or NULL. */
static char *numa(MachineState *ms, const char *text, bool ram_size_given)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    Error *err = NULL;
    char *said = NULL;

    for (char **word = words; *word && !err; word++) {
        g_autoptr(QemuOpts) opts = qemu_opts_parse(*word, "type", NULL);

        g_assert_cmpint(numa_option(ms, opts, &err), ==, !err);
    }
    if (!err) {
        g_assert_cmpint(numa_complete(ms, ram_size_given, &err), ==, !err);
    }
    if (err) {
        said = g_strdup(error_get_pretty(err));
        error_free(err);
    }
    return said;
}

static void test_refused(void)
{
    static const struct {
        const char *text, *what;
    } rows[] = {
        { "bogus", "Parameter 'type' does not accept value 'bogus'" },
        { "node,bogus=1", "Invalid parameter 'bogus'" },
        { "node,nodeid=x", "Parameter 'nodeid' expects a uint64 value" },
        { "node,nodeid=128", "Max number of NUMA nodes reached: 128" },
        { "node node,nodeid=0", "Duplicate NUMA nodeid: 0" },
        { "node,memdev=a node,memdev=b,nodeid=2", "numa: Node ID missing: 1" },
        { "node,initiator=0", "*(HMAT) is not here" },
        { "node,memdev=a,mem=1M", "*either mem= or memdev=,mixing both is not allowed" },
        { "node,memdev=a node,mem=3M", "*either mem= or memdev=,mixing both is not allowed" },
        { "node,mem=x", "Parameter 'mem' expects a size*" },
        { "node,mem=1025B", "Parameter 'mem' expects a size*" },
        { "node node", "total memory for NUMA nodes (0x0) should equal RAM size (0x400000)" },
        { "node,mem=1M", "total memory for NUMA nodes (0x100000) should equal RAM size*" },
        { "node,mem=15E node,mem=15E", "the NUMA nodes' memory is larger than memory can be" },
        { "node,memdev=a", "total memory for NUMA nodes (0x100000) should equal RAM size*" },
        { "node,memdev=a node,memdev=a", "memory backend a can't be used multiple times." },
        { "node,memdev=no", "*Memory backend 'no' not found" },
        { "node,cpus=x", "Parameter 'cpus' expects a uint64 value or range" },
        { "node,cpus=", "Parameter 'cpus' expects a uint64 value or range" },
        { "node,cpus=2-1", "Parameter 'cpus' expects a uint64 value or range" },
        { "node,cpus=0-18446744073709551615", "CPU index (4) should be smaller than maxcpus (4)" },
        { "node,cpus=0-1,cpus=1", "CPU is already assigned to node-id: 0" },
        { "cpu,node-id=0", "Invalid node-id=0, NUMA node must be defined with -numa node*" },
        { "node cpu,node-id=128", "Invalid node-id=128, *" },
        { "node cpu,socket-id=0", "Missing mandatory node-id property" },
        { "node cpu,node-id=0,socket-id=2", "no match found" },
        { "node cpu,node-id=0,core-id=x", "Parameter 'core-id' expects an integer between 0 and*" },
        { "node cpu,node-id=0 cpu,node-id=0,thread-id=0", "CPU is already assigned to node-id: 0" },
        { "node dist,src=0,dst=1,val=20", "Source/Destination NUMA node is missing. *" },
        { "node dist,src=0,dst=128,val=20", "Parameter 'dst' expects an integer between 0 and 1*" },
        { "node dist,src=0,dst=0", "Parameter 'val' is missing" },
        { "node dist,src=0,dst=0,val=256", "Parameter 'val' expects an integer between 0 and 255" },
        { "node dist,src=0,dst=0,val=9", "NUMA distance (9) is invalid, *" },
        { "node dist,src=0,dst=0,val=11", "Local distance of node 0 should be 10." },
        { "node node,mem=4M node dist,src=0,dst=1,val=20",
          "The distance between node 0 and 2 is missing, *" },
        { "node node,mem=4M node dist,src=0,dst=1,val=20 dist,src=1,dst=0,val=21 "
          "dist,src=0,dst=2,val=20 dist,src=1,dst=2,val=20", "At least one asymmetrical pair *" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        MachineState *ms = machine_new(4);
        g_autofree char *said = numa(ms, rows[i].text, true);

        g_test_message("%s: %s", rows[i].text, said);
        g_assert_true(said && g_pattern_match_simple(rows[i].what, said));
        object_free(&ms->obj);
    }
}

/* What was left out: processors go by sockets, distances both ways. */
static void test_completed(void)
{
    MachineState *ms = machine_new(4);
    NumaState *n;

    g_assert_null(numa(ms, "node,mem=1 node,mem=3 dist,src=0,dst=1,val=30", true));
    n = ms->numa;
    g_assert_cmpuint(n->nr_nodes, ==, 2);
    g_assert_cmpuint(n->nodes[1].size, ==, 3 * MiB);
    g_assert_true(n->cpu_node[0] == 0 && n->cpu_node[1] == 0);
    g_assert_true(n->cpu_node[2] == 1 && n->cpu_node[3] == 1);
    g_assert_true(n->distance[0][0] == 10 && n->distance[1][1] == 10);
    g_assert_true(n->distance[0][1] == 30 && n->distance[1][0] == 30);
    g_assert_null(n->ram);
    object_free(&ms->obj);

    ms = machine_new(4);
    g_assert_null(numa(ms, "node node,mem=4M cpu,node-id=1,socket-id=0,core-id=1 "
                       "cpu,node-id=1,socket-id=1 cpu,node-id=0,socket-id=0,core-id=0", true));
    n = ms->numa;
    g_assert_true(n->cpu_node[0] == 0 && n->cpu_node[1] == 1);
    g_assert_true(n->cpu_node[2] == 1 && n->cpu_node[3] == 1);
    g_assert_null(n->distance);
    object_free(&ms->obj);

    /* One node is the machine, whatever its size; one backend is as if -machine had named it. */
    ms = machine_new(4);
    g_assert_null(numa(ms, "node,cpus=0-3", true));
    g_assert_cmpuint(ms->numa->nodes[0].size, ==, 4 * MiB);
    object_free(&ms->obj);
    ms = machine_new(4);
    g_assert_null(numa(ms, "node,memdev=b node,cpus=0-3", false));
    g_assert_cmpstr(ms->memory_backend, ==, "b");
    g_assert_cmpuint(ms->ram_size, ==, 3 * MiB);
    object_free(&ms->obj);
    ms = machine_new(4);
    ms->memory_backend = g_strdup("c");
    g_assert_null(numa(ms, "node,mem=4K node,mem=4K", false));
    g_assert_cmpuint(ms->ram_size, ==, 8 * KiB);
    object_free(&ms->obj);
}

/* One piece of memory of this process; each part gives back and is found as by itself. */
static void test_joined(void)
{
    MachineState *ms = machine_new(4);
    HostMemoryBackend *a = (HostMemoryBackend *)machine_find_object(ms, "a");
    HostMemoryBackend *b = (HostMemoryBackend *)machine_find_object(ms, "b"), *ram;
    char *host;

    strcpy(b->host, "there before");
    g_assert_null(numa(ms, "node,memdev=a node node,memdev=b,cpus=0-3", true));
    ram = (HostMemoryBackend *)ms->numa->ram;
    host = ram->host;
    g_assert_cmpuint(ram->size, ==, 4 * MiB);
    g_assert_true((char *)a->host == host && (char *)b->host == host + MiB);
    g_assert_cmpstr(host + MiB, ==, "there before");
    g_assert_true(a->in_use && b->in_use && !object_is_memory_backend(&ram->obj));
    memset(host, 1, ram->size);
    g_assert_true(host_memory_backend_part(ram, host + MiB - 1) == a);
    g_assert_true(host_memory_backend_part(ram, host + MiB) == b);
    g_assert_true(host_memory_backend_part(a, host) == a);
    g_assert_null(host_memory_backend_part(ram, host + ram->size));
    g_assert_null(host_memory_backend_part(ram, host - 1));
    g_assert_false(host_memory_backend_is_shared(ram) || host_memory_backend_is_plain(ram));
    g_assert_true(host_memory_backend_is_shared(b) && host_memory_backend_is_plain(a));

    g_assert_true(host_memory_backend_discard(ram, host + MiB - 8192, 8192 + 4096));
    g_assert_true(host[MiB - 8193] == 1 && host[MiB - 1] == 0);
    g_assert_true(host[MiB] == 0 && host[MiB + 4095] == 0 && host[MiB + 4096] == 1);
    g_assert_false(host_memory_backend_discard(ram, host - 4096, 4096));
    g_assert_false(host_memory_backend_discard(ram, host + ram->size, 4096));
    g_assert_true(host_memory_backend_discard(ram, host + ram->size - 4096, UINT64_MAX));
    object_free(&ms->obj);
}

static void test_unjoinable(void)
{
    MachineState *ms = machine_new(4);
    HostMemoryBackend *a = (HostMemoryBackend *)machine_find_object(ms, "a");
    HostMemoryBackend *b = (HostMemoryBackend *)machine_find_object(ms, "b");
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    Error *err = NULL;
    void *host;

    g_ptr_array_add(parts, a);
    g_ptr_array_add(parts, b);
    b->page_size = 2 * MiB;
    b->size = 2 * MiB;
    g_assert_null(host_memory_backend_join(parts, "ram", &err));
    g_assert_cmpstr(error_get_pretty(err), ==, "memory backend 'b' has pages of 0x200000 bytes: "
                    "the nodes before it must have a multiple of that");
    g_clear_pointer(&err, error_free);
    b->size = 3 * MiB;
    g_assert_null(host_memory_backend_join(parts, "ram", &err));
    g_clear_pointer(&err, error_free);
    b->page_size = 4096;
    b->readonly = true;
    g_assert_null(host_memory_backend_join(parts, "ram", &err));
    g_clear_pointer(&err, error_free);
    b->readonly = false;
    /* What is not mapped cannot move; what has moved stays usable. */
    host = b->host;
    b->host = NULL;
    g_assert_null(host_memory_backend_join(parts, "ram", &err));
    g_clear_pointer(&err, error_free);
    b->host = host;
    memset(a->host, 1, a->size);
    object_free(&ms->obj);
}

static void test_tables(void)
{
    static const uint8_t srat[] = {
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 16, 1, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        2, 24, 0, 0, 0x2c, 1, 0, 0, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        1, 40, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0,
        0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    };
    static const uint8_t distances[] = { 10, 20, 21, 10 };
    static const uint8_t slit[] = { 2, 0, 0, 0, 0, 0, 0, 0, 10, 20, 21, 10 };
    const uint32_t ids[] = { 7, 255 };
    const int nodes[] = { 1, 300 };
    const AcpiNodeMemory range = { 1ull << 32, 1ull << 31, 3 };
    AcpiTables t;

    acpi_tables_init(&t, 0xe0000);
    acpi_build_srat(&t, &(AcpiSratInfo) { ids, nodes, 2, &range, 1 });
    acpi_build_slit(&t, distances, 2);
    g_assert_cmpmem(t.blob->data + t.listed[0] - t.base, 4, "SRAT", 4);
    g_assert_cmpuint(ld_le(t.blob->data + t.listed[0] - t.base + 4, 4), ==, 36 + sizeof(srat));
    g_assert_cmpmem(t.blob->data + t.listed[0] - t.base + 36, sizeof(srat), srat, sizeof(srat));
    g_assert_cmpmem(t.blob->data + t.listed[1] - t.base + 36, sizeof(slit), slit, sizeof(slit));
    acpi_tables_cleanup(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/numa/refused", test_refused);
    g_test_add_func("/numa/completed", test_completed);
    g_test_add_func("/numa/joined", test_joined);
    g_test_add_func("/numa/unjoinable", test_unjoinable);
    g_test_add_func("/numa/tables", test_tables);
    return g_test_run();
}
