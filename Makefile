# From nothing but Python 3.10 or newer, pip and make: everything else goes into $(VENV).
#
#   make demo     install the package and decode a recorded, encrypted session
#   make check    lint, types and imports: less than a minute
#   make test     install the test tools, make check, and run every test
#   make cover    run every test and list the lines and branches that none reaches
#   make dist     build the wheel and the sdist into dist/ and check them as PyPI does
#   make format   put the sources into the shape that make test asks for
#   make schema   compile the .proto files after an edit
#   make docs     build the documentation as a web site: build/docs/index.html
#   make docs-output  renew what README.md and docs/ show: output of commands, tables, picture
#   make man      write the manual page, build/opendump.1, from the help texts
#   make bench    measure against other decoders: half an hour; BENCH_ARGS=--quick: 4 minutes
#   make fuzz     throw damaged input at the decoder: a minute per target; FUZZ_ARGS='--seconds 3600 streams': longer
#   make fuzz-core  compare the compiled core with Python, two targets for a minute each, with AddressSanitizer and UBSan
#   (OPENDUMP_HYPOTHESIS=long make test PYTEST_ARGS=tests/scenarios/test_properties.py: random traffic for an hour or so)
#   make clean    remove what the others made

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?= -n auto --maxprocesses 4
# What runs with pure Python as well: what the compiled core does, in the package and from the command.
PURE_TESTS := $(addprefix tests/unit/output/test_,jsonl.py json_cache.py text.py info.py parallel.py tables.py) \
  tests/unit/engine/test_hot_path.py tests/unit/capture/test_pcap.py tests/unit/test_message_fields.py tests/unit/test_core.py \
  tests/unit/cli/test_main.py tests/scenarios/test_recordings.py \
  tests/scenarios/test_pure_python.py
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
RUN := $(BIN)/python -m

.PHONY: help demo check test cover dist format schema docs docs-output man bench fuzz fuzz-core clean

help:
	@sed -n 's/^#   //p' Makefile

# Debian's Python has no ensurepip unless python3-venv is installed; then pip installs itself from outside.
$(VENV)/made:
	@echo "== Make a virtual environment in $(VENV) ($$($(PYTHON) --version))"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.x")'
	@$(PYTHON) -m venv $(VENV) || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install -q pip; }
	@touch $@

# Without a C compiler the package installs as well: pure Python.
$(VENV)/installed: $(VENV)/made pyproject.toml setup.py $(wildcard decoder/engine/*.[ch])
	@echo "== Install opendump and what it needs into $(VENV)"
	@$(RUN) pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/tools: $(VENV)/installed
	@echo "== Install the test tools into $(VENV) (pytest, ruff, mypy, the official futu-api SDK to test against)"
	@$(RUN) pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@

KEY := --rsa-key captures/demo_rsa_key.pem
define show
	@printf '\n$$ opendump %s\n' "$(subst ",\",$(1))"
	@$(BIN)/opendump $(1)
endef

demo: $(VENV)/installed
	@echo "== Decode a session of the official SDK that was recorded with tcpdump: RSA and AES on the wire"
	$(call show,decode captures/reconnect.pcap.gz $(KEY))
	@printf '\n== The same file without the key: the reason is named\n'
	$(call show,decode captures/reconnect.pcap.gz -c 3)
	@printf '\n== One message of another session in full: why the gateway stopped working\n'
	$(call show,decode captures/cbc.pcap $(KEY) -V -c 1 --where "body.s2c.programStatus.programStatus.type=NEED_PHONE_VERIFY_CODE")
	@printf '\n== Now your own: %s/opendump decode YOUR.pcap --rsa-key YOUR.pem (README.md says how to get both)\n' "$(BIN)"

check: $(VENV)/tools
	@echo "== ruff check: common mistakes"
	@$(RUN) ruff check
	@echo "== ruff format: the shape of the sources"
	@$(RUN) ruff format --check
	@echo "== mypy: types"
	@$(RUN) mypy
	@echo "== import-linter: layers and circles"
	@$(BIN)/lint-imports

test: check
	@echo "== pytest: the tests (a test that needs tshark, tcpdump or chromium is skipped where it is not installed)"
	@$(RUN) pytest $(PYTEST_ARGS)
ifeq ($(origin PYTEST_ARGS),file)
	@echo "== pytest again, without the compiled core: the tests of what it writes"
	@OPENDUMP_PURE=1 $(RUN) pytest $(PYTEST_ARGS) $(PURE_TESTS)
endif

cover: $(VENV)/tools
	@$(RUN) pytest $(PYTEST_ARGS) --cov --cov-report=term

$(VENV)/dist-tools: $(VENV)/installed
	@echo "== Install build and twine into $(VENV)"
	@$(RUN) pip install -q --disable-pip-version-check -e '.[dist]'
	@touch $@

dist: $(VENV)/dist-tools
	@rm -rf dist build
	@$(RUN) build --outdir dist > build.log 2>&1 || { cat build.log; exit 1; }
	@! grep -n "is absent from\|Warning:" build.log
	@rm -f build.log
	@$(RUN) twine check --strict dist/*

format: $(VENV)/tools
	@$(RUN) ruff check --fix
	@$(RUN) ruff format

schema: $(VENV)/tools
	@$(BIN)/python tests/tools/compile_schema.py

$(VENV)/docs-tools: $(VENV)/installed
	@echo "== Install MkDocs into $(VENV)"
	@$(RUN) pip install -q --disable-pip-version-check -e '.[docs]'
	@touch $@

docs: $(VENV)/docs-tools
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet
	@echo "== build/docs/index.html"

docs-output: $(VENV)/tools
	@$(RUN) tests.tools.docs_output

man: $(VENV)/installed
	@$(BIN)/python tests/tools/man_page.py build/opendump.1

bench: $(VENV)/tools
	@$(RUN) tests.bench $(BENCH_ARGS)

$(VENV)/fuzz-tools: $(VENV)/tools
	@echo "== Install atheris into $(VENV), where there is a wheel of it"
	@$(RUN) pip install -q --disable-pip-version-check -e '.[fuzz]'
	@touch $@

fuzz: $(VENV)/fuzz-tools
	@$(RUN) tests.fuzz $(FUZZ_ARGS)

fuzz-core: $(VENV)/tools
	@$(RUN) tests.fuzz.sanitized $(FUZZ_ARGS)

clean:
	rm -rf decoder/_core.*.so decoder/_core.*.pyd
	rm -rf $(VENV) build build.log dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
