# Everything here runs on a fresh Debian machine as root: what is needed is installed first. `deb` and
# `rpm` install nothing but what a package is built of, and need no root where that is here.

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/ready

.PHONY: setup demo demo-desktop test test-fast oracle fuzz bench attacks firewalls faults soak \
        lint deb rpm lab-shell clean

setup: $(READY)

$(READY): pyproject.toml lab/packages.txt
	apt-get -qq update
	DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends --yes \
	    $(shell cat lab/packages.txt) >/dev/null
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check '.[dev]'
	touch $@

# The story of the office, told and checked line by line; pictures in build/demo.
demo: setup
	$(PYTHON) -m lab demo

# The same at the desktop, X11 and Wayland, from the greeter on; pictures in build/demo-desktop.
demo-desktop: setup
	$(PYTHON) -m lab demo-desktop

# All tests: linters and pure logic; real nftables in namespaces, each test in its own, two at a
# time; meanwhile the lab's workstation is built, if it isn't in the cache; then real logins in the
# lab, of which there can be but one.
LAB := tests/lab tests/attacks/lab tests/bench
test: setup
	@status=0; \
	$(PYTHON) -m lab build >/dev/null & \
	$(PYTHON) -m pytest -n 2 --dist load tests $(LAB:%=--ignore=%) || status=1; \
	wait; \
	$(PYTHON) -m pytest $(LAB) || status=1; \
	exit $$status

# What needs neither root nor the lab.
test-fast:
	@py=$(PYTHON); test -x $$py || py=python3; \
	if $$py -c 'import xdist' 2>/dev/null; then two='-n 2 --dist loadfile'; fi; \
	exec $$py -m pytest -q $$two tests/unit

# The oracle of time on 2,000 policies and more for each odd zone: over an hour.
oracle: setup
	ORACLE_ROUNDS=250 $(PYTHON) -m pytest -q tests/oracle/test_oracle.py

# Mutated policies, led by coverage, for SECONDS.
SECONDS := 600
fuzz: setup
	$(PYTHON) -m tests.fuzz $(SECONDS)

# What it all costs, side by side: some ten minutes; writes docs/benchmarks.md.
bench: setup
	$(PYTHON) -m tests.bench

# Every attack we know of, tried against the hand-made setup and against pam-spice; writes
# docs/attacks.md.
attacks: setup
	$(PYTHON) -m pytest -q tests/attacks/kernel tests/attacks/lab --write-attacks

# Other firewalls start, reload and stop beside ours; writes docs/firewalls.md.
firewalls: setup
	$(PYTHON) -m pytest -q tests/lab/test_other_firewalls.py tests/lab/test_zone.py \
	    --write-firewalls

# Every system call of the hook fails in turn, and two storms of kills: a quarter of an hour;
# writes docs/faults.md.
faults: setup
	$(PYTHON) -m tests.faults

# The model test for 100,000 steps, 200 users in and out by their hooks for ten minutes, and
# through PAM: over an hour.
STEPS := 100000
soak: setup
	$(PYTHON) -m tests.model --steps $(STEPS)
	$(PYTHON) -m tests.model.load --seconds 600
	$(PYTHON) -m tests.lab.crowd

lint: setup
	$(PYTHON) -m pytest -q tests/lint

# The Debian package, in build/deb; the one for openSUSE and Fedora, in build/rpm.
deb:
	@packaging/needs deb
	packaging/build-deb build/deb

rpm:
	@packaging/needs rpm
	packaging/build-rpm build/rpm

# A root prompt on the lab's workstation.
lab-shell: setup
	$(PYTHON) -m lab shell

clean:
	rm -rf build $(VENV)
	find . -name __pycache__ -prune -exec rm -rf {} +
