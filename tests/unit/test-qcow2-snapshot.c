/*
 * Snapshots inside of qcow2 images: made, deleted, gone back to in any order, with states of
 * machines, judged by Debian's qemu-img; images that are not sound.
 *
 * QCOW2_STEPS=N is the number of steps for each set of options.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "block/vm-snapshot.h"
#include "qcow2-harness.h"
#include "qemu/cutils.h"

#define DISK (2 * MiB)
#define MAX_BYTES (64 * KiB)

static const struct { const char *create, *drive; bool backing; } sets[] = {
    { "cluster_size=64k", "cache=unsafe,discard=unmap", false },
    { "cluster_size=4k", "cache=unsafe,l2-cache-size=4k,refcount-cache-size=4k", true },
    { "cluster_size=512,refcount_bits=64", "cache=unsafe", false },
    { "extended_l2=on,cluster_size=16k", "cache=unsafe,discard=unmap", true },
    { "compat=0.10,cluster_size=1k", "cache=unsafe", false },
};

/* What a snapshot must have. */
typedef struct Taken {
    char *name;
    uint8_t *disk, *state;
    size_t len;                 /* of state; 0: none */
} Taken;

typedef struct State {
    GRand *rng;
    BlockBackend *blk;
    uint8_t disk[DISK];
    GPtrArray *taken;
    unsigned names;
} State;

static uint32_t any(State *st, uint32_t n)
{
    return g_rand_int_range(st->rng, 0, n);
}

static void free_taken(void *p)
{
    Taken *t = p;

    g_free(t->name);
    g_free(t->disk);
    g_free(t->state);
    g_free(t);
}

static void one_request(State *st)
{
    g_autofree uint8_t *buf = g_malloc(MAX_BYTES);
    BlockOp op = any(st, 4) ? BLOCK_OP_WRITE : any(st, 2) ? BLOCK_OP_DISCARD
                                                         : BLOCK_OP_WRITE_ZEROES;
    uint32_t bytes = (any(st, MAX_BYTES / 512) + 1) * 512;
    uint32_t offset = any(st, (DISK - bytes) / 512 + 1) * 512;

    memset(buf, any(st, 255) + 1, bytes);
    g_assert_cmpint(run_request(st->blk, op, BLOCK_REQ_MAY_UNMAP, offset,
                                op == BLOCK_OP_WRITE ? buf : NULL, bytes), ==, 0);
    g_assert_cmpint(run_request(st->blk, BLOCK_OP_READ, 0, offset, st->disk + offset, bytes),
                    ==, 0);
}

static GPtrArray *nodes_of(void)
{
    GPtrArray *nodes = vm_snapshot_nodes(NULL, NULL);

    g_assert_nonnull(nodes);
    g_assert_cmpuint(nodes->len, ==, 1);
    return nodes;
}

static void take(State *st)
{
    g_autoptr(GPtrArray) nodes = nodes_of();
    Taken *t = g_new0(Taken, 1);
    BlockVMState *v = NULL;
    BlockSnapshotInfo sn = { .icount = -1, .date_sec = 12345, .vm_clock_ns = 1 };

    t->name = g_strdup_printf("s%u", st->names++);
    t->disk = g_memdup2(st->disk, DISK);
    t->len = any(st, 3) ? any(st, any(st, 3) ? 100000 : 4 * MiB) : 0;
    t->state = g_malloc(t->len + 1);
    memset(t->state, any(st, 255), t->len);
    for (size_t i = 0; i < t->len; i += 77) {
        t->state[i] = i;
    }
    if (t->len) {
        v = vm_state_new(nodes->pdata[0]);
        for (size_t done = 0, n; done < t->len; done += n) {
            n = any(st, 200000) + 1;
            n = MIN(t->len - done, n);
            g_assert_cmpint(vm_state_write(v, t->state + done, n), ==, 0);
        }
    }
    sn.name = t->name;
    g_assert_true(vm_snapshot_create(nodes, &sn, v, NULL));
    vm_state_free(v);
    g_ptr_array_add(st->taken, t);
}

/* One that is given up in the middle, and again: nothing of it stays, its room is used anew. */
static void give_up(State *st)
{
    g_autoptr(GPtrArray) nodes = nodes_of();
    g_autofree char *path = in_scratch("t.qcow2");
    size_t len = any(st, 5 * MiB) + 1;
    g_autofree uint8_t *data = g_malloc0(len);
    struct stat before, now;

    for (unsigned i = 0; i < 3; i++) {
        BlockVMState *v = vm_state_new(nodes->pdata[0]);

        g_assert_cmpint(vm_state_write(v, data, len), ==, 0);
        vm_state_free(v);
        g_assert_cmpint(stat(path, i ? &now : &before), ==, 0);
    }
    g_assert_cmpint(now.st_size, ==, before.st_size);
}

static void compare_state(State *st, const Taken *t)
{
    g_autoptr(GPtrArray) nodes = nodes_of();
    const BlockSnapshotInfo *sn = vm_snapshot_find(nodes->pdata[0], t->name);
    g_autofree uint8_t *data = g_malloc(t->len + 1);
    BlockVMState *v;

    g_assert_nonnull(sn);
    g_assert_cmpuint(sn->vm_state_size, ==, t->len);
    v = vm_state_open(nodes->pdata[0], sn, NULL);
    for (size_t done = 0, n; done < t->len; done += n) {
        n = any(st, 200000) + 1;
        n = MIN(t->len - done, n);
        g_assert_cmpint(vm_state_read(v, data + done, n), ==, n);
    }
    g_assert_cmpint(vm_state_read(v, data, 1), ==, 0);
    g_assert_cmpmem(data, t->len, t->state, t->len);
    vm_state_free(v);
}

static void forget(State *st)
{
    g_autoptr(GPtrArray) nodes = nodes_of();
    guint i = any(st, st->taken->len);
    const Taken *t = st->taken->pdata[i];

    g_assert_true(vm_snapshot_delete(nodes, t->name, NULL));
    g_assert_false(vm_snapshot_in_any(nodes, t->name));
    g_ptr_array_remove_index(st->taken, i);
}

static void go_back(State *st)
{
    g_autoptr(GPtrArray) nodes = nodes_of();
    const Taken *t = st->taken->pdata[any(st, st->taken->len)];

    compare_state(st, t);
    g_assert_true(vm_snapshot_revert(nodes, t->name, NULL));
    memcpy(st->disk, t->disk, DISK);
}

static void step(State *st)
{
    unsigned what = any(st, 12);

    for (unsigned n = any(st, 12); n; n--) {
        one_request(st);
    }
    if (what < 3) {
        take(st);
    } else if (what < 5 && st->taken->len) {
        forget(st);
    } else if (what < 8 && st->taken->len) {
        go_back(st);
    } else if (what < 9) {
        give_up(st);
    }
    if (any(st, 3) == 0) {
        compare_reads(st->blk, st->disk, DISK, st->rng);
    }
}

/* As qemu-img sees it. */
static void judge(State *st)
{
    check_image("t.qcow2", true);
    for (guint i = 0; i < st->taken->len; i++) {
        const Taken *t = st->taken->pdata[i];
        g_autofree char *name = g_strdup_printf("-l snapshot.name=%s t.qcow2", t->name);
        size_t length;
        g_autofree uint8_t *now = contents(name, &length);

        g_assert_cmpmem(now, length, t->disk, DISK);
    }
    tool("test $(qemu-img snapshot -l t.qcow2 | grep -c ' 1970-01-01 ') -eq %u", st->taken->len);
}

static void test_steps(gconstpointer arg)
{
    unsigned n = GPOINTER_TO_UINT(arg);
    const char *text = g_getenv("QCOW2_STEPS");
    unsigned steps = text ? strtoul(text, NULL, 0) : 60;
    g_autofree uint8_t *start = NULL;
    size_t length;
    State *st;

    if (!have_tools()) {
        return;
    }
    st = g_new0(State, 1);
    st->rng = g_rand_new_with_seed(700 + n);
    st->taken = g_ptr_array_new_with_free_func(free_taken);
    tool("qemu-img create -q -f qcow2 b.qcow2 1M; qemu-io -t unsafe -c 'write -P 77 0 1M' b.qcow2 "
         ">/dev/null; qemu-img create -q -f qcow2 -o %s %s t.qcow2 2M", sets[n].create,
         sets[n].backing ? "-b b.qcow2 -F qcow2" : "");
    if (sets[n].backing) {
        tool("qemu-io -t unsafe -c 'write -c -P 6 1M 512k' t.qcow2 >/dev/null");
    }
    start = contents("t.qcow2", &length);
    memcpy(st->disk, start, DISK);
    st->blk = open_drive("t.qcow2", sets[n].drive);
    for (unsigned i = 1; i <= steps; i++) {
        step(st);
        if (i % 15 == 0) {
            blk_cleanup_all();
            judge(st);
            st->blk = open_drive("t.qcow2", sets[n].drive);
        }
    }
    while (st->taken->len) {
        forget(st);
    }
    compare_reads(st->blk, st->disk, DISK, st->rng);
    blk_cleanup_all();
    judge(st);
    g_ptr_array_unref(st->taken);
    g_rand_free(st->rng);
    g_free(st);
    scratch_remove();
}

/* Images of qemu-img's making, bytes of their snapshots' tables changed: no crash, an end. */
static void test_damaged(void)
{
    if (!have_tools()) {
        return;
    }
    for (unsigned i = 0; i < 40; i++) {
        g_autoptr(GRand) rng = g_rand_new_with_seed(i);
        g_autoptr(GPtrArray) nodes = NULL;
        g_autofree char *path = in_scratch("t.qcow2"), *message = NULL;

        tool("qemu-img create -q -f qcow2 -o cluster_size=4k t.qcow2 1M && qemu-io -t unsafe "
             "-c 'write -P 3 0 256k' t.qcow2 >/dev/null && qemu-img snapshot -c one t.qcow2 && "
             "printf '\\%03o' | dd of=t.qcow2 bs=1 conv=notrunc seek=%u 2>/dev/null",
             g_rand_int_range(rng, 0, 256), g_rand_int_range(rng, 4096, 400 << 10));
        message = try_drive(path, "cache=unsafe");
        nodes = message ? NULL : vm_snapshot_nodes(NULL, NULL);
        if (nodes && vm_snapshot_in_all(nodes, "one")) {
            vm_snapshot_revert(nodes, "one", NULL);
            vm_snapshot_delete(nodes, "one", NULL);
        }
        blk_cleanup_all();
    }
    scratch_remove();
}

/* What has no place for one, and whose it is. */
static void test_refused(void)
{
    static const struct { const char *create, *message; } cases[] = {
        { "qemu-img create -q -f qcow2 -o refcount_bits=1 t.img 1M",
          "Device 'd' is writable but does not support snapshots" },
        { "qemu-img create -q -f qcow2 -o data_file=t.data t.img 1M",
          "Device 'd' is writable but does not support snapshots" },
        { "rm -f t.img && truncate -s 1M t.img",
          "Device 'd' is writable but does not support snapshots" },
    };

    if (!have_tools()) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Error *err = NULL;

        tool("%s", cases[i].create);
        open_drive("t.img", i == 2 ? "format=raw" : "");
        g_assert_null(vm_snapshot_nodes(NULL, &err));
        g_assert_cmpstr(error_get_pretty(err), ==, cases[i].message);
        error_free(err);
        blk_cleanup_all();
    }
    scratch_remove();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        g_autofree char *name = g_strdup_printf("/qcow2/snapshots/%s;%s%s", sets[i].create,
                                                sets[i].drive, sets[i].backing ? ";over" : "");

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_steps);
    }
    g_test_add_func("/qcow2/snapshots/damaged", test_damaged);
    g_test_add_func("/qcow2/snapshots/refused", test_refused);
    return g_test_run();
}
