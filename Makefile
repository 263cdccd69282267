# The front door: everything configures and installs what it needs by itself.
# SPDX-License-Identifier: GPL-2.0-or-later
BUILD ?= build
NINJA ?= ninja
DEPS = scripts/install-deps

all: $(BUILD)/build.ninja
	@$(NINJA) -C $(BUILD) checked

$(BUILD)/build.ninja:
	@$(DEPS) build
	@mkdir -p $(BUILD)
	@cd $(BUILD) && "$(CURDIR)/configure"

# Boot a small Debian with its own kernel to a login on this terminal; DEMO_CMD='…' runs commands
# in the guest instead, prints their output and fails if they do. A $ in them is
# the guest's, not make's.
ifdef DEMO_CMD
override DEMO_CMD := $(value DEMO_CMD)
export DEMO_CMD
endif
demo:
	@$(DEPS) demo
	@scripts/demo

# Every test; ends with "N passed, N failed".
check:
	@command -v python3 >/dev/null || $(DEPS) check || { echo "0 passed, 1 failed"; exit 1; }
	@scripts/check

# Longer forms of some tests, for hours; not part of check.
check-long:
	@scripts/check long

# The figures that the documentation quotes, beside Debian's QEMU.
bench:
	@scripts/bench

install: all
	@$(NINJA) -C $(BUILD) install

clean:
	@rm -rf $(BUILD)

.PHONY: all demo check check-long bench install clean
