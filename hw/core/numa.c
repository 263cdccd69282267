/*
 * -numa: nodes, their distances, their processors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/numa.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "qemu/cutils.h"
#include "sysemu/hostmem.h"

#define RAM_UNIT 4096       /* what the guest's tables should not cut */

static NumaState *numa_get(MachineState *ms)
{
    if (!ms->numa) {
        ms->numa = g_new0(NumaState, 1);
        ms->numa->cpu_node = g_new(int, ms->smp.max_cpus);
        for (unsigned i = 0; i < ms->smp.max_cpus; i++) {
            ms->numa->cpu_node[i] = -1;
        }
    }
    return ms->numa;
}

void numa_free(NumaState *numa)
{
    if (numa) {
        for (unsigned i = 0; i < NUMA_NODES_MAX; i++) {
            g_free(numa->nodes[i].memdev);
        }
        if (numa->ram) {
            object_free(numa->ram);
        }
        g_free(numa->distance);
        g_free(numa->cpu_node);
        g_free(numa);
    }
}

/* -numa node ------------------------------------------------------------------------------- */

static bool assign_cpu(NumaState *numa, unsigned cpu, unsigned node, Error **errp)
{
    if (numa->cpu_node[cpu] >= 0) {
        error_setg(errp, "CPU is already assigned to node-id: %d", numa->cpu_node[cpu]);
        return false;
    }
    numa->cpu_node[cpu] = node;
    return true;
}

/* "N" or "N-M". */
static bool assign_range(MachineState *ms, const char *text, unsigned node, Error **errp)
{
    g_auto(GStrv) range = g_strsplit(text, "-", 2);
    uint64_t first, last;

    if (!range[0] || qemu_strtou64(range[0], &first) ||
        qemu_strtou64(range[1] ? range[1] : range[0], &last) || first > last) {
        error_setg(errp, "Parameter 'cpus' expects a uint64 value or range");
        return false;
    }
    for (; first <= last; first++) {
        if (first >= ms->smp.max_cpus) {
            error_setg(errp, "CPU index (%" PRIu64 ") should be smaller than maxcpus (%u)",
                       first, ms->smp.max_cpus);
            return false;
        }
        if (!assign_cpu(ms->numa, first, node, errp)) {
            return false;
        }
    }
    return true;
}

static bool assign_cpus(MachineState *ms, QemuOpts *opts, unsigned node, Error **errp)
{
    if (!qemu_opt_get(opts, "cpus")) {
        return true;
    }
    for (guint i = 0; i < opts->opts->len; i++) {
        const QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        if (!strcmp(opt->name, "cpus") && !assign_range(ms, opt->str, node, errp)) {
            return false;
        }
    }
    return true;
}

static bool node_memory(NumaNode *node, QemuOpts *opts, Error **errp)
{
    const char *mem = qemu_opt_get(opts, "mem");

    node->memdev = g_strdup(qemu_opt_get(opts, "memdev"));
    if (mem && node->memdev) {
        error_setg(errp, "numa configuration should use either mem= or memdev=,"
                   "mixing both is not allowed");
        return false;
    }
    if (mem && (qemu_strtosz(mem, 'M', &node->size) || node->size % RAM_UNIT)) {
        error_setg(errp, "Parameter 'mem' expects a size, a multiple of %d bytes", RAM_UNIT);
        return false;
    }
    return true;
}

static bool add_node(MachineState *ms, QemuOpts *opts, Error **errp)
{
    NumaState *numa = numa_get(ms);
    const char *text = qemu_opt_get(opts, "nodeid");
    uint64_t id = numa->nr_nodes;

    if (text && qemu_strtou64(text, &id)) {
        error_setg(errp, "Parameter 'nodeid' expects a uint64 value");
        return false;
    }
    if (id >= NUMA_NODES_MAX) {
        error_setg(errp, "Max number of NUMA nodes reached: %d", NUMA_NODES_MAX);
        return false;
    }
    if (numa->nodes[id].present) {
        error_setg(errp, "Duplicate NUMA nodeid: %" PRIu64, id);
        return false;
    }
    if (qemu_opt_get(opts, "initiator")) {
        error_setg(errp, "ACPI Heterogeneous Memory Attribute Table (HMAT) is not here");
        return false;
    }
    numa->nodes[id].present = true;
    numa->nr_nodes++;
    return node_memory(&numa->nodes[id], opts, errp) && assign_cpus(ms, opts, id, errp);
}

/* -numa dist ------------------------------------------------------------------------------- */

static bool small_number(QemuOpts *opts, const char *name, uint64_t limit, uint64_t *n,
                         Error **errp)
{
    const char *text = qemu_opt_get(opts, name);

    if (!text) {
        error_setg(errp, "Parameter '%s' is missing", name);
    } else if (qemu_strtou64(text, n) || *n > limit) {
        error_setg(errp, "Parameter '%s' expects an integer between 0 and %" PRIu64, name, limit);
    } else {
        return true;
    }
    return false;
}

static bool add_distance(MachineState *ms, QemuOpts *opts, Error **errp)
{
    NumaState *numa = numa_get(ms);
    uint64_t src, dst, val;

    if (!small_number(opts, "src", NUMA_NODES_MAX - 1, &src, errp) ||
        !small_number(opts, "dst", NUMA_NODES_MAX - 1, &dst, errp) ||
        !small_number(opts, "val", UINT8_MAX, &val, errp)) {
        return false;
    }
    if (!numa->nodes[src].present || !numa->nodes[dst].present) {
        error_setg(errp, "Source/Destination NUMA node is missing. "
                   "Please use '-numa node' option to declare it first.");
        return false;
    }
    if (val < NUMA_DISTANCE_LOCAL) {
        error_setg(errp, "NUMA distance (%" PRIu64 ") is invalid, it shouldn't be less than %d.",
                   val, NUMA_DISTANCE_LOCAL);
        return false;
    }
    if (src == dst && val != NUMA_DISTANCE_LOCAL) {
        error_setg(errp, "Local distance of node %" PRIu64 " should be %d.", src,
                   NUMA_DISTANCE_LOCAL);
        return false;
    }
    if (!numa->distance) {
        numa->distance = g_malloc0(sizeof(*numa->distance) * NUMA_NODES_MAX);
    }
    numa->distance[src][dst] = val;
    return true;
}

/* -numa cpu -------------------------------------------------------------------------------- */

/* What an option says of a place in the topology; -1: nothing. */
static bool place_option(QemuOpts *opts, const char *name, int *n, Error **errp)
{
    uint64_t value;

    *n = -1;
    if (qemu_opt_get(opts, name)) {
        if (!small_number(opts, name, INT16_MAX, &value, errp)) {
            return false;
        }
        *n = value;
    }
    return true;
}

static bool fits(int wanted, unsigned is)
{
    return wanted < 0 || (unsigned)wanted == is;
}

static bool add_cpus(MachineState *ms, QemuOpts *opts, Error **errp)
{
    NumaState *numa = numa_get(ms);
    int node, socket, die, core, thread;
    bool found = false;

    if (!place_option(opts, "node-id", &node, errp) ||
        !place_option(opts, "socket-id", &socket, errp) ||
        !place_option(opts, "die-id", &die, errp) ||
        !place_option(opts, "core-id", &core, errp) ||
        !place_option(opts, "thread-id", &thread, errp)) {
        return false;
    }
    if (node < 0) {
        error_setg(errp, "Missing mandatory node-id property");
        return false;
    }
    if (node >= NUMA_NODES_MAX || !numa->nodes[node].present) {
        error_setg(errp, "Invalid node-id=%d, NUMA node must be defined with -numa node,nodeid=ID "
                   "before it's used with -numa cpu,node-id=ID", node);
        return false;
    }
    for (unsigned i = 0; i < ms->smp.max_cpus; i++) {
        CpuPlace place = cpu_place(&ms->smp, i);

        if (fits(socket, place.socket) && fits(die, place.die) && fits(core, place.core) &&
            fits(thread, place.thread)) {
            found = true;
            if (!assign_cpu(numa, i, node, errp)) {
                return false;
            }
        }
    }
    if (!found) {
        error_setg(errp, "no match found");
    }
    return found;
}

bool numa_option(MachineState *ms, QemuOpts *opts, Error **errp)
{
    static const struct {
        const char *type;
        bool (*add)(MachineState *, QemuOpts *, Error **);
    } kinds[] = { { "node", add_node }, { "dist", add_distance }, { "cpu", add_cpus } };
    const char *type = qemu_opt_get(opts, "type");

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!g_strcmp0(type, kinds[i].type)) {
            return kinds[i].add(ms, opts, errp) && qemu_opts_check_unused(opts, errp);
        }
    }
    error_setg(errp, "Parameter 'type' does not accept value '%s'", type ? type : "");
    return false;
}

/* Completing ------------------------------------------------------------------------------- */

static bool check_ids(const NumaState *numa, Error **errp)
{
    for (unsigned i = 0; i < numa->nr_nodes; i++) {
        if (!numa->nodes[i].present) {
            error_setg(errp, "numa: Node ID missing: %u", i);
            return false;
        }
    }
    return true;
}

/* The nodes' backends, in their order; a node without one has no RAM. */
static bool find_backends(MachineState *ms, GPtrArray *parts, Error **errp)
{
    NumaState *numa = ms->numa;

    for (unsigned i = 0; i < numa->nr_nodes; i++) {
        NumaNode *node = &numa->nodes[i];
        Object *obj = node->memdev ? machine_find_object(ms, node->memdev) : NULL;

        if (node->memdev && (!obj || !object_is_memory_backend(obj))) {
            error_setg(errp, "-numa node,memdev=%s: Memory backend '%s' not found",
                       node->memdev, node->memdev);
            return false;
        }
        if (obj && g_ptr_array_find_with_equal_func(parts, obj, NULL, NULL)) {
            error_setg(errp, "memory backend %s can't be used multiple times.", node->memdev);
            return false;
        }
        if (obj) {
            node->size = downcast(obj, HostMemoryBackend, obj)->size;
            g_ptr_array_add(parts, obj);
        }
    }
    return true;
}

static bool check_sizes(MachineState *ms, bool ram_size_given, Error **errp)
{
    NumaState *numa = ms->numa;
    uint64_t total = 0;

    for (unsigned i = 0; i < numa->nr_nodes; i++) {
        if (numa->nodes[i].size > UINT64_MAX - total) {
            error_setg(errp, "the NUMA nodes' memory is larger than memory can be");
            return false;
        }
        total += numa->nodes[i].size;
    }
    if (!total && numa->nr_nodes == 1) {
        total = numa->nodes[0].size = ms->ram_size;
    } else if (total && !ram_size_given) {
        ms->ram_size = total;
    }
    if (total != ms->ram_size) {
        error_setg(errp, "total memory for NUMA nodes (0x%" PRIx64 ") should equal RAM size (0x%"
                   PRIx64 ")", total, ms->ram_size);
        return false;
    }
    return true;
}

static bool mixes_mem(const NumaState *numa)
{
    bool mem = false, memdev = false;

    for (unsigned i = 0; i < numa->nr_nodes; i++) {
        mem |= numa->nodes[i].size != 0;
        memdev |= numa->nodes[i].memdev != NULL;
    }
    return mem && memdev;
}

/* One backend is the machine's, as if -machine had named it. */
static bool use_one(MachineState *ms, const Object *part, Error **errp)
{
    if (ms->memory_backend && strcmp(ms->memory_backend, part->id)) {
        error_setg(errp, "the machine has one NUMA node and its memory is '%s'",
                   ms->memory_backend);
        return false;
    }
    g_free(ms->memory_backend);
    ms->memory_backend = g_strdup(part->id);
    return true;
}

/* Several are joined. */
static bool use_several(MachineState *ms, GPtrArray *parts, Error **errp)
{
    if (ms->memory_backend) {
        error_setg(errp, "the machine's memory is '%s': nodes cannot bring their own",
                   ms->memory_backend);
        return false;
    }
    ms->numa->ram = host_memory_backend_join(parts, machine_get_class(ms)->default_ram_id, errp);
    return ms->numa->ram;
}

static bool complete_memory(MachineState *ms, bool ram_size_given, Error **errp)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    const Object *own = ms->memory_backend ? machine_find_object(ms, ms->memory_backend) : NULL;

    if (own && object_is_memory_backend(own) && !ram_size_given) {
        ms->ram_size = downcast(own, const HostMemoryBackend, obj)->size;
    }
    if (mixes_mem(ms->numa)) {
        error_setg(errp, "numa configuration should use either mem= or memdev=,"
                   "mixing both is not allowed");
        return false;
    }
    return find_backends(ms, parts, errp) &&
           check_sizes(ms, ram_size_given || !parts->len, errp) &&
           (parts->len != 1 || use_one(ms, parts->pdata[0], errp)) &&
           (parts->len < 2 || use_several(ms, parts, errp));
}

/* Unless said otherwise, a socket's processors are near each other. */
static void complete_cpus(MachineState *ms)
{
    NumaState *numa = ms->numa;
    g_autoptr(GString) forgotten = g_string_new(NULL);
    unsigned given = 0;

    for (unsigned i = 0; i < ms->smp.max_cpus; i++) {
        given += numa->cpu_node[i] >= 0;
    }
    for (unsigned i = 0; i < ms->smp.max_cpus; i++) {
        CpuPlace place = cpu_place(&ms->smp, i);

        if (numa->cpu_node[i] >= 0) {
            continue;
        }
        numa->cpu_node[i] = given ? 0 : place.socket % numa->nr_nodes;
        g_string_append_printf(forgotten, "%sCPU %u [socket-id: %u, core-id: %u, thread-id: %u]",
                               forgotten->len ? ", " : "", i, place.socket, place.core,
                               place.thread);
    }
    if (given && forgotten->len) {
        warn_report("CPU(s) not present in any NUMA nodes: %s", forgotten->str);
    }
}

/* A distance that is given once counts both ways, if that holds for all. */
static bool complete_distances(NumaState *numa, Error **errp)
{
    uint8_t (*d)[NUMA_NODES_MAX] = numa->distance;
    bool asymmetric = false, half = false;

    for (unsigned i = 0; d && i < numa->nr_nodes; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (!d[i][j] && !d[j][i]) {
                error_setg(errp, "The distance between node %u and %u is missing, at least one "
                           "distance value between each nodes should be provided.", j, i);
                return false;
            }
            half |= !d[i][j] || !d[j][i];
            asymmetric |= d[i][j] && d[j][i] && d[i][j] != d[j][i];
        }
    }
    if (half && asymmetric) {
        error_setg(errp, "At least one asymmetrical pair of distances is given, please provide "
                   "distances for both directions of all node pairs.");
        return false;
    }
    for (unsigned i = 0; d && i < numa->nr_nodes; i++) {
        d[i][i] = NUMA_DISTANCE_LOCAL;
        for (unsigned j = 0; j < i; j++) {
            d[i][j] = d[i][j] ? d[i][j] : d[j][i];
            d[j][i] = d[j][i] ? d[j][i] : d[i][j];
        }
    }
    return true;
}

bool numa_complete(MachineState *ms, bool ram_size_given, Error **errp)
{
    if (!ms->numa) {
        return true;
    }
    if (!check_ids(ms->numa, errp) || !complete_distances(ms->numa, errp) ||
        !complete_memory(ms, ram_size_given, errp)) {
        return false;
    }
    complete_cpus(ms);
    return true;
}

char *numa_info(const MachineState *ms)
{
    const NumaState *numa = ms->numa;
    unsigned n = numa ? numa->nr_nodes : 0;
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "%u nodes\n", n);
    for (unsigned i = 0; i < n; i++) {
        g_string_append_printf(out, "node %u cpus:", i);
        for (unsigned cpu = 0; cpu < ms->smp.cpus; cpu++) {
            if (numa->cpu_node[cpu] == (int)i) {
                g_string_append_printf(out, " %u", cpu);
            }
        }
        g_string_append_printf(out, "\nnode %u size: %" PRIu64 " MB\nnode %u plugged: 0 MB\n", i,
                               (uint64_t)(numa->nodes[i].size / MiB), i);
    }
    return g_string_free(out, FALSE);
}
