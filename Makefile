# The front door: everything configures and installs what it needs by itself.
# SPDX-License-Identifier: GPL-2.0-or-later
BUILD ?= build
NINJA ?= ninja
DEPS = scripts/install-deps

all: $(BUILD)/build.ninja
	@$(NINJA) -C $(BUILD) qemu-system-x86_64

$(BUILD)/build.ninja:
	@$(DEPS) build
	@mkdir -p $(BUILD)
	@cd $(BUILD) && $(CURDIR)/configure

# Boot Debian's kernel to a shell on this terminal; DEMO_CMD='…' runs commands
# in the guest instead, prints their output and ends with their status.
demo:
	@scripts/demo

# Every test; ends with "N passed, N failed".
check:
	@scripts/check

# The figures that the documentation quotes, beside Debian's QEMU.
bench:
	@scripts/bench

install: all
	@$(NINJA) -C $(BUILD) install

clean:
	@rm -rf $(BUILD)

.PHONY: all demo check bench install clean
