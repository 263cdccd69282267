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

# A kernel, an initramfs and a Debian disk, in a folder.
guest:
	@$(DEPS) guest
	@scripts/guest guest

# The documents as a site; a warning is an error.
docs:
	@$(DEPS) docs
	@sphinx-build -W --keep-going -q -n -b html -d $(BUILD)/docs/doctrees docs $(BUILD)/docs/html
	@echo '  $(BUILD)/docs/html/index.html'

# Every test; ends with "N passed, N failed".
check:
	@command -v python3 >/dev/null || $(DEPS) check || { echo "0 passed, 1 failed"; exit 1; }
	@scripts/check

# Longer forms of some tests, for hours; not part of check.
check-long:
	@scripts/check long

# Each fuzz target for a minute, or more: make fuzz MINUTES=N.
MINUTES ?= 1
fuzz:
	@scripts/fuzz $(MINUTES)

# That some functions touch nothing but their memory, for all values within bounds.
proof:
	@scripts/proof

# The figures that the documentation quotes, beside Debian's QEMU.
bench:
	@scripts/bench

bench-quick:
	@scripts/bench --quick

# Only the program is built, and what is made of it; DESTDIR=/d goes in front of all paths.
install: $(BUILD)/build.ninja
	@$(NINJA) -C $(BUILD) checked installed
	@DESTDIR='$(DESTDIR)' scripts/install-files --prefix '$(or $(prefix),$(PREFIX))' $(BUILD)

uninstall: $(BUILD)/build.ninja
	@DESTDIR='$(DESTDIR)' scripts/install-files --remove --prefix '$(or $(prefix),$(PREFIX))' $(BUILD)

# A Debian package that stands beside Debian's QEMU.
deb: $(BUILD)/build.ninja
	@$(DEPS) deb
	@$(NINJA) -C $(BUILD) checked installed
	@scripts/deb $(BUILD)

clean:
	@rm -rf $(BUILD)

help:
	@echo 'make                build the program: $(BUILD)/qemu-system-x86_64'
	@echo 'make demo           boot a small Debian to a login; DEMO_CMD="…" runs commands in it'
	@echo 'make guest          a kernel, an initramfs and a Debian disk in the folder guest/'
	@echo 'make docs           the documents as a site: $(BUILD)/docs/html'
	@echo 'make install        program, manual page, completions, documents; PREFIX=/usr/local DESTDIR='
	@echo 'make uninstall      remove them; with the same PREFIX and DESTDIR'
	@echo 'make deb            a Debian package, installable beside Debian'"'"'s QEMU: in $(BUILD)/'
	@echo 'make check          every test, 20 to 45 minutes'
	@echo 'make check-long     longer forms of some tests, for hours'
	@echo 'make fuzz           each fuzz target for MINUTES=1'
	@echo 'make proof          what Frama-C can say of some functions'
	@echo 'make bench          speed and size beside Debian'"'"'s QEMU'
	@echo 'make bench-quick    the part of it that takes some minutes'
	@echo 'make clean          remove the build folder'
	@echo
	@echo 'BUILD=FOLDER builds elsewhere; ./configure --help lists what can be chosen.'

.PHONY: all demo guest docs deb check check-long fuzz proof bench bench-quick install uninstall clean help
