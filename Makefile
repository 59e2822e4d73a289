# Two commands do everything, set-up included:  make demo   and   make test
# A virtual environment is made in .venv; nothing outside this folder is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := torch==2.13.0
OUT ?= demo-output
DEMO := MMPL/Resources/Bundles/mmpl-demo
TEN := --config MMPL/Resources/Training/ten.yaml --start $(DEMO)
FINER := --config MMPL/Resources/Training/finer.yaml

.PHONY: demo test test-slow lint scores demo-bundle ten-bundle finer-bundle compare bench bench-batch bench-data bench-grid bench-panel bench-inference bench-finer bench-card suv-variants dicom-fuzz screenshots file-lists ibsi setup clean

demo: $(STAMP)
	$(BIN)/mmpl demo --out $(OUT)

# Two processes of one thread each: with more, they wait for each other on two cores.
test: $(STAMP) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder --durations 20

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python tools/cmake_lists.py --check

# Held-out scores of the demo bundle on phantoms it never saw (eight minutes on two cores; resumable).
scores: $(STAMP)
	$(BIN)/python -P bench/phantom_scores.py --run runs/scores

# Train a demo bundle from nothing, and put it in the place of the bundled one (an hour and a quarter on two cores;
# resumable).
demo-bundle: $(STAMP)
	$(BIN)/mmpl phantom --out runs/phantoms --cases 300 --seed 20250 --workers 2
	$(BIN)/mmpl train --data runs/phantoms --out runs/demo --config MMPL/Resources/Training/demo.yaml
	$(BIN)/python -P bench/phantom_scores.py --run runs/scores --bundle runs/demo/bundle --record
	rm -rf MMPL/Resources/Bundles/mmpl-demo
	mkdir -p MMPL/Resources/Bundles
	cp -r runs/demo/bundle MMPL/Resources/Bundles/mmpl-demo

# Ten members on phantoms of another seed, five patient-level and five centre-out folds, and the paper's ablations on them
# (some three and a half hours on two cores; resumable; a build artefact).
ten-bundle: $(STAMP)
	$(BIN)/mmpl phantom --out runs/phantoms-ten --cases 480 --seed 20251 --workers 2
	$(BIN)/mmpl train --data runs/phantoms-ten --out runs/ten $(TEN)
	$(BIN)/mmpl ablate --data runs/phantoms-ten --out runs/ten $(TEN)

# Two members at 2 mm, for bench-finer, trained twice over, on other phantoms each time (three and a half hours on two
# cores that compute in bfloat16, else longer; resumable; a build artefact).
finer-bundle: $(STAMP)
	$(BIN)/mmpl phantom --out runs/phantoms-finer-1 --cases 200 --seed 20251 --workers 2
	$(BIN)/mmpl train --data runs/phantoms-finer-1 --out runs/finer-1 $(FINER) --start $(DEMO)
	$(BIN)/mmpl phantom --out runs/phantoms-finer --cases 200 --seed 20252 --workers 2
	$(BIN)/mmpl train --data runs/phantoms-finer --out runs/finer $(FINER) --start runs/finer-1/bundle

# How the plans of inference agree with the networks of finer-bundle after either round (half an hour on two cores;
# resumable).
bench-finer: $(STAMP)
	for run in finer-1 finer; do \
	  $(BIN)/python -P bench/inference.py --run runs/inference --parts agreement --bundle runs/$$run/bundle --cases 20 \
	  || exit; done

# The demo bundle and the ten members on the same phantoms, which neither has seen, scored by mmpl evaluate
# (an hour and a quarter on two cores; resumable).
compare: $(STAMP)
	$(BIN)/mmpl phantom --out runs/phantoms-fresh --cases 360 --seed 7003 --workers 2
	$(BIN)/mmpl batch --data runs/phantoms-fresh --bundle $(DEMO) --out runs/fresh-demo --site oropharynx --workers 2
	$(BIN)/mmpl batch --data runs/phantoms-fresh --bundle runs/ten/bundle --out runs/fresh-ten --site oropharynx --workers 2
	for run in demo ten; do for task in segmentation hpv rfs; do \
	  $(BIN)/mmpl evaluate $$task --pred runs/fresh-$$run --truth runs/phantoms-fresh \
	    --json runs/fresh-$$run-$$task.json --html runs/fresh-$$run-$$task.html \
	    --csv runs/fresh-$$run-$$task.csv || exit; done; done
	$(BIN)/python -P bench/compare.py --plain runs/fresh-demo --full runs/fresh-ten --names demo "ten members"

# Patches a second from the training cache, against loading and resampling each; what training costs (some minutes).
bench-data: $(STAMP)
	mkdir -p runs
	$(BIN)/python -P bench/data_pipeline.py --json runs/data-pipeline.json
	$(BIN)/python -P bench/training_cost.py --measured runs/data-pipeline.json

# What perfect answers on a coarse network grid score on the 1 mm region (some minutes).
bench-grid: $(STAMP)
	$(BIN)/python -P bench/grid_limit.py

# What a case costs in batch, and a hundred thousand of them (two minutes).
bench-batch: $(STAMP)
	$(BIN)/python -P bench/batch.py

# Radiomics against plain pyradiomics, and the live loop's whole turn: times, ratios, differences (a minute).
bench: $(STAMP)
	$(BIN)/python bench/radiomics.py

# SUV of a PET in DICOM, in every way that scanners write it: the largest error of each (some seconds).
suv-variants: $(STAMP)
	$(BIN)/python -P bench/suv_variants.py

# Damaged DICOM headers and files: a crash, a hang or a wrong SUV without a word fails it (some minutes).
dicom-fuzz: $(STAMP)
	$(BIN)/python bench/dicom_fuzz.py

# The table of our features beside IBSI's consensus values; MMPL_TEST_DATA names the folder that holds ibsi/.
ibsi: $(STAMP)
	$(BIN)/python bench/ibsi.py --out docs/ibsi.md

# How fast numbers follow the pen in the panel, and how long its thread is kept (a minute).
bench-panel: $(STAMP)
	$(BIN)/python -P bench/panel.py

# Segmentation: cost of a full-width case against the plain way, agreement with the paper's plan, growth of the cost
# (forty minutes on two cores; resumable).
bench-inference: $(STAMP)
	$(BIN)/python -P bench/inference.py --run runs/inference --plot docs/images/inference_growth.png

# Segmentation on a graphics card: ten full-width members end to end, against the plain way on the same card, and where
# the time goes (made to fit in eight minutes; needs a build of PyTorch for the card in .venv; resumable).
bench-card: $(STAMP)
	$(BIN)/python -P bench/inference_card.py --run runs/card

# The panel in each of its states, light and dark, as PNG files.
screenshots: $(STAMP)
	$(BIN)/python MMPL/Testing/gui/screenshots.py --out docs/images/panel

# The lists of files in MMPL/CMakeLists.txt, after a file was added or taken away.
file-lists: $(STAMP)
	$(BIN)/python tools/cmake_lists.py --write

setup: $(STAMP)

# The CPU build of torch first: a bare "torch" would bring gigabytes of CUDA. pyradiomics has no wheel for
# Python 3.11 and later and needs numpy at build time, so it is built here without isolation.
$(STAMP): pyproject.toml tools/check_system.py
	$(PYTHON) tools/check_system.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH) "numpy<2.5" "setuptools>=77" wheel
	$(BIN)/python -m pip install --quiet --no-build-isolation pyradiomics==3.0.1
	$(BIN)/python -m pip install --quiet --no-build-isolation -e ".[slicer-core,openvino,train,test]"
	$(BIN)/python -c "from mmpl.radiomics.fast_extractor import warm_up; warm_up()"
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo-output
