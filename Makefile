.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DENTAL := $(VENV)/bin/dental

# Without BATCH, STORE and NAME, `make run-flow` draws a sample of phantoms into a store of its own.
SAMPLE := data/sample
SAMPLE_STORE := data/sample-store
STORE_OPTION = $(if $(STORE),--store $(call typed,STORE))
UV := $(shell command -v uv)
INSTALL := $(if $(UV),uv pip install --python $(RUN),$(RUN) -m pip install --disable-pip-version-check) --quiet
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --no-header --no-emit-index-url pyproject.toml

# Variables that a target takes; one that no target takes is a typing error, such as batch=.
VARIABLES := BATCH STORE NAME Q CSV FOLDS ADDRESS RESOURCES SCANS EMBEDDINGS BARS PYTHON VENV
GIVEN := $(foreach each,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(each)))),$(each)))
UNKNOWN := $(filter-out $(VARIABLES) DENTAL_% AWS_% PREFECT_%,$(GIVEN))
define SUGGESTION
import difflib, sys; known = sys.argv[2:]; \
near = difflib.get_close_matches(sys.argv[1].upper(), known, 1, 0.6); \
print("Did you mean %s?" % near[0] if near else "Known variables: %s." % ", ".join(known))
endef
ifneq ($(UNKNOWN),)
$(error There is no variable $(firstword $(UNKNOWN)). $(shell \
	$(PYTHON) -c '$(SUGGESTION)' $(firstword $(UNKNOWN)) $(VARIABLES)))
endif
# Paths as they were typed: `make` and the shell would take $, quotes and backticks in them for their
# own. `dental` expands ~ and $VAR.
$(foreach each,BATCH STORE NAME CSV,$(if $(value $(each)),$(eval override $(each) := $$(value $(each)))))
typed = "$(subst `,\`,$(subst ",\",$(subst $$,\$$,$(subst \,\\,$($1)))))"
ifneq ($(filter run-flow,$(MAKECMDGOALS)),)
ifeq ($(BATCH),)
ifneq ($(STORE)$(NAME),)
$(error STORE and NAME need BATCH, the folder of scans: make run-flow BATCH=path/to/folder \
	$(if $(STORE),STORE=$(STORE)) $(if $(NAME),NAME=$(NAME)))
endif
endif
endif

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1	/' | expand -t 16

run-flow: $(VENV)/ready ## dental run BATCH=folder or s3://… [STORE=path] [NAME=name]; without BATCH: a sample
ifeq ($(BATCH),)
	@[ -d $(SAMPLE) ] || $(MAKE) --no-print-directory $(SAMPLE)
	@$(DENTAL) run $(SAMPLE) --store $(SAMPLE_STORE) --name sample
else
	@$(DENTAL) run $(call typed,BATCH) $(STORE_OPTION) $(if $(NAME),--name $(call typed,NAME))
endif

train: $(VENV)/ready ## dental train [STORE=path]: train a head, promote it unless it is worse
	@$(DENTAL) train $(STORE_OPTION)

feedback: $(VENV)/ready ## dental feedback CSV=file [STORE=path]: append a reviewer's labels, then train
	@[ -n $(call typed,CSV) ] || { echo "Name the table: make feedback CSV=reviewed.csv" >&2; exit 1; }
	@$(DENTAL) feedback $(call typed,CSV) $(STORE_OPTION)

nightly: $(VENV)/ready ## dental nightly [STORE=path]: what is new in the inbox, labels, training when due
	@$(DENTAL) nightly $(STORE_OPTION)

serve: $(VENV)/ready ## dental serve [STORE=path]: run nightly by the setting `schedule`
	@$(DENTAL) serve $(STORE_OPTION)

cross-validate: $(VENV)/ready ## dental cross-validate [FOLDS=5] [STORE=path]: measure head and baselines
	@$(DENTAL) cross-validate $(STORE_OPTION) $(if $(FOLDS),--folds $(FOLDS))

learn-trunk: $(VENV)/ready ## dental learn-trunk [STORE=path]: learn a trunk, promote it unless it is worse
	@$(DENTAL) learn-trunk $(STORE_OPTION)

worklist: $(VENV)/ready ## dental worklist [STORE=path]: what to look at first
	@$(DENTAL) worklist $(STORE_OPTION)

query: $(VENV)/ready ## dental query Q="name key=value" [STORE=path]; without Q, list the queries
	@$(DENTAL) query $(Q) $(STORE_OPTION)

check: $(VENV)/dev-ready ## format, lint, and run the fast tests, those of the documents among them
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check .
	@$(RUN) -m pytest -q -n 2 --dist loadfile -m "not slow"

test: $(VENV)/dev-ready ## run all tests
	@$(RUN) -m pytest -q -n 2 --dist loadfile

bench: $(VENV)/dev-ready ## measure speed against scripts, for docs/speed.md [BARS="1 9"]; DENTAL_TEST_DATA adds real scans
	@$(RUN) -m benchmarks $(BARS)
	@$(WRITE_SPEED)

bench-peers: $(VENV)/dev-ready $(VENV)/peers/ready ## measure Daft and Ray Data doing the same work
	@$(RUN) -m benchmarks.peers $(VENV)/peers/bin/python
	@$(WRITE_SPEED)

fuzz: $(VENV)/dev-ready ## read 20,000 damaged scans (DENTAL_TEST_DATA gives real ones to damage) and label files
	@$(RUN) -m tests.fuzz
	@$(RUN) -m tests.fuzz_yolo
	@$(RUN) -m tests.fuzz_documents
	@$(RUN) -m tests.fuzz_tables

try-layouts: $(VENV)/dev-ready $(VENV)/tools/ready ## check and run folders as data sets, appliances and practices leave them
	@$(RUN) -m tests.layouts
	@$(RUN) -m tests.layouts.oracle $(VENV)/tools/bin/python

chaos: $(VENV)/dev-ready ## inject some 300 faults into runs: kills, full disks, races; nothing may be lost
	@$(RUN) -m tests.chaos

bench-dask: $(VENV)/dev-ready ## measure the overhead of Dask per part, and one worker against two
	@$(RUN) -m benchmarks.dask_runner

dask-worker: $(VENV)/ready ## work for the Dask scheduler at ADDRESS [RESOURCES="SCANS=1 GPU=1"]
	@$(RUN) -m dask worker "$(ADDRESS)" --nthreads 1 --no-dashboard \
		--dashboard-address 127.0.0.1:0 $(if $(RESOURCES),--resources "$(RESOURCES)")

bench-s3: $(VENV)/dev-ready ## measure receiving and embedding on S3 with 50 ms more per request
	@$(RUN) -m benchmarks.s3

bench-novelty: $(VENV)/dev-ready ## measure how small and faint the findings are that novelty detects
	@$(RUN) -m benchmarks.novelty

bench-drift: $(VENV)/dev-ready ## measure which changes drift detects, by the number of scans
	@$(RUN) -m benchmarks.drift

bench-finder: $(VENV)/dev-ready ## measure how many annotated teeth of DENTAL_TEST_DATA's opg/ are found [FOLDS=5]
	@$(RUN) -m benchmarks.tooth_finder
	@$(if $(FOLDS),FOLDS=$(FOLDS) $(RUN) -m benchmarks.finder_with_boxes,:)

bench-hits: $(VENV)/dev-ready ## measure whether findings are ranked first, with the folds of cross-validate in STORE
	@$(if $(STORE),DENTAL_STORE=$(call typed,STORE)) $(if $(FOLDS),FOLDS=$(FOLDS)) $(RUN) -m benchmarks.finding_hits

bench-store: $(VENV)/dev-ready ## time the queries of a store of SCANS=1000000 and EMBEDDINGS=100000
	@$(RUN) -m benchmarks.large_store $(if $(SCANS),--scans $(SCANS)) \
		$(if $(EMBEDDINGS),--embeddings $(EMBEDDINGS))

bench-scale: $(VENV)/dev-ready ## measure the cost of a scan, alone and in 10,000; estimate 1, 10 and 100 million
	@$(RUN) -m benchmarks.cost_per_scan
	@$(RUN) -m benchmarks.cost_curve
	@$(WRITE_SPEED)

# docs/speed.md shows what was measured last.
WRITE_SPEED := $(RUN) -m cogapp -r -I docs docs/speed.md

# Modules whose functions users import; the API pages are made of them.
API := pipeline.api.store_reader pipeline.store.catalog
docs: $(VENV)/dev-ready ## update the generated parts of docs/, build the API pages in site/
	@$(RUN) -m cogapp -r -I docs README.md docs/*.md
	@$(RUN) -m pdoc $(API) --output-directory site

screenshots: $(VENV)/dev-ready ## take pictures of every page of a store of phantoms into data/screenshots
	@[ -d $(SAMPLE_STORE) ] || $(MAKE) --no-print-directory run-flow
	@$(DENTAL) evaluate --store $(SAMPLE_STORE) >/dev/null
	@$(DENTAL) page sample --store $(SAMPLE_STORE)
	@$(RUN) docs/screenshots.py $(SAMPLE_STORE) data/screenshots

lock: ## update requirements.lock and requirements-dev.lock (needs uv)
	@$(COMPILE) --extra dask --extra s3 --extra editable --upgrade -o requirements.lock
	@$(COMPILE) --extra dev --constraint requirements.lock --upgrade -o requirements-dev.lock
	@$(subst pyproject.toml,,$(COMPILE)) $(TOOLS).in --upgrade -o $(TOOLS).lock
	@$(subst pyproject.toml,,$(COMPILE)) $(PEERS).in --upgrade -o $(PEERS).lock

phantom-trunk: $(VENV)/ready ## remake the trunk that comes with the package, from phantoms alone
	@rm -rf data/phantoms data/phantom-store data/phantom-store.private
	@$(DENTAL) phantoms data/phantoms --scans 160 --seed 0 --height 800
	@export DENTAL_TRUNK__WEIGHTS=random DENTAL_STORE=data/phantom-store; \
		$(DENTAL) run data/phantoms --name phantoms && $(DENTAL) learn-trunk
	@cp "$$(ls -t data/phantom-store/models/trunks/*/model.keras | head -1)" \
		pipeline/model/phantoms.keras

phantom-finder: $(VENV)/ready ## remake the finder of teeth that comes with the package, from phantoms alone
	@$(RUN) -m pipeline.learn.learn_finder

clean: ## remove the environment and the sample; never a store
	rm -rf $(VENV) $(SAMPLE) dist

$(SAMPLE):
	@rm -rf $(SAMPLE).part
	@echo "No BATCH was named: drawing 240 synthetic phantoms into $(SAMPLE)"
	@$(DENTAL) phantoms $(SAMPLE).part --scans 240 --seed 0 --height 500 >/dev/null
	@mv $(SAMPLE).part $(SAMPLE)

# Sizes and CPU seconds on Linux with an empty cache: 104 by pip, 13 by uv; the rest takes 19 and 2.
$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else \
		"Python %d.%d is not supported; use 3.11, 3.12 or 3.13: make PYTHON=python3.12 ..." % v)'
	@echo "Installing what running needs into $(VENV), once: 3.3 GB of disk, a download of 0.9 GB,"
	@echo "and about 2 minutes (half a minute with uv)"
	@rm -rf $(VENV)
	@$(if $(UV),uv venv --quiet --python "$(PYTHON)",$(PYTHON) -m venv) $(VENV)
	@$(INSTALL) -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev-ready: $(VENV)/ready requirements-dev.lock
	@echo "Adding what tests, documents and benchmarks need: 0.3 GB of disk, a download of 80 MB,"
	@echo "and about 20 seconds"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

# Datumaro and globox read label files that ours must read alike; Datumaro's pins clash with ours.
TOOLS := tests/layouts/other_tools/requirements
$(VENV)/tools/ready: $(VENV)/dev-ready $(TOOLS).lock
	@echo "Installing Datumaro and globox into $(VENV)/tools, once: 0.7 GB of disk, half a minute"
	@$(if $(UV),uv venv --quiet --clear --python "$(PYTHON)",$(PYTHON) -m venv --clear) $(VENV)/tools
	@$(subst $(RUN),$(VENV)/tools/bin/python,$(INSTALL)) -r $(TOOLS).lock
	@touch $@

# Engines that `dental run` is compared with. Daft and Ray pin what clashes with ours, too.
PEERS := benchmarks/peers/requirements
$(VENV)/peers/ready: $(VENV)/dev-ready $(PEERS).lock
	@echo "Installing Daft, Ray Data, TensorFlow and Keras into $(VENV)/peers, once: 2.9 GB of disk"
	@$(if $(UV),uv venv --quiet --clear --python "$(PYTHON)",$(PYTHON) -m venv --clear) $(VENV)/peers
	@$(subst $(RUN),$(VENV)/peers/bin/python,$(INSTALL)) -r $(PEERS).lock
	@touch $@

.PHONY: help run-flow nightly serve train learn-trunk cross-validate feedback worklist query test bench \
	bench-peers bench-dask dask-worker bench-s3 bench-novelty bench-drift bench-finder bench-hits bench-store \
	bench-scale fuzz try-layouts chaos check docs screenshots lock phantom-trunk phantom-finder clean
