/*
 * The parts of a machine: what one does when it is saved shows in another that comes before it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/boards.h"
#include "migration/internal.h"
#include "sysemu/accel.h"

/* A controller's input and the device that has one more access of the guest's to carry out. */
typedef struct Part {
    DeviceState dev;
    bool level;
} Part;

static Part input, device;

static void lower(void *obj)
{
    device.level = input.level = false;
}

static const StateField fields[] = { STATE_BOOL(Part, level), STATE_END };
static const StateDesc input_state = { .version = 1, .fields = fields };
static const StateDesc device_state = { .version = 1, .fields = fields, .pre_save = lower };
static const DeviceClass input_class = { .oc.name = "input", .state = &input_state };
static const DeviceClass device_class = { .oc.name = "device", .state = &device_state };
static const MachineClass machine_class = { .oc.name = "machine" };
static const AccelClass accel_class = { .oc.name = "accel" };

static void test_order(void)
{
    Migration migration = { .before = RUN_STATE_PAUSED };
    AccelState accel = { .obj.oc = &accel_class.oc };
    MachineState ms = { .obj.oc = &machine_class.oc, .accel = &accel, .migration = &migration };
    g_autoptr(GPtrArray) sections = NULL;
    Error *err = NULL;

    input.dev.obj.oc = &input_class.oc;
    device.dev.obj.oc = &device_class.oc;
    ms.devices = g_ptr_array_new();
    g_ptr_array_add(ms.devices, &input);
    g_ptr_array_add(ms.devices, &device);
    input.level = device.level = true;
    sections = parts_save(&ms);
    input.level = device.level = true;
    g_assert_true(parts_load(&ms, sections, &err));
    g_assert_false(device.level);
    g_assert_false(input.level);
    g_ptr_array_unref(ms.devices);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/parts/order", test_order);
    return g_test_run();
}
