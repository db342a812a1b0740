# What a developer of kit does, by name. Needs the virtual environment that `just setup` makes.

python := ".venv/bin/python"

# List the recipes.
default:
    @just --list

# Make the virtual environment with the known-good versions.
setup:
    python3 -m venv .venv
    {{python}} -m pip install --quiet --constraint constraints.txt --editable '.[dev]'

# The whole job on the embedded default.
demo *ARGS:
    {{python}} -m kit demo {{ARGS}}

# The demo's accuracy over three seeds, and with the labels shuffled over the artists.
demo-accuracy *ARGS:
    {{python}} benchmarks/demo_accuracy.py {{ARGS}}

# The tests; GPU ones skip without a GPU.
test *ARGS:
    {{python}} -m pytest {{ARGS}}

# The tests on each supported Python that the machine has; `just matrix core` runs the core alone.
matrix SESSION="tests" *ARGS:
    {{python}} -m nox --session {{SESSION}} {{ARGS}}

# All tests, and the share of kit that they run; a quarter slower than without.
coverage:
    {{python}} -m pytest -n 2 --cov=kit --cov-fail-under=90

# Style and formatting.
lint:
    {{python}} -m ruff check .
    {{python}} -m ruff format --check .
    .venv/bin/lint-imports

# Types.
types:
    .venv/bin/pyright --pythonpath {{python}}

# The measurements that the README states; they need the demo's tracks.
bench: demo-accuracy
    {{python}} benchmarks/demo_confounds.py data/demo

# kit.dsp against its peers on this machine's CPU.
bench-dsp *ARGS:
    {{python}} -m pip install --quiet --constraint constraints.txt --editable '.[dev,peers]'
    {{python}} benchmarks/dsp.py --json benchmarks/results/dsp.json --plot docs/dsp.png {{ARGS}}

# Training by kit, torch eager and torch.compile; on an idle machine.
bench-training *ARGS:
    {{python}} -m pip install --quiet --constraint constraints.txt --editable '.[dev,peers]'
    {{python}} benchmarks/training.py --json benchmarks/results/training.json {{ARGS}}

# kit features against its peers, at scale, and what a big job costs; on an idle machine.
bench-features *ARGS:
    {{python}} -m pip install --quiet --constraint constraints.txt --editable '.[dev,peers]'
    {{python}} -m kit demo --demo.tracks 216 --demo.artists 36 --data data/bench
    {{python}} benchmarks/features.py --audio data/bench/audio --json benchmarks/results/features.json {{ARGS}}
    {{python}} benchmarks/scaling.py data/bench --json benchmarks/results/scaling.json
    {{python}} benchmarks/scaling_page.py

# librosa's own tests of VERSION, 0.11.0 or 1.0.0, with kit's functions in its place.
librosa-tests VERSION *ARGS:
    {{ if VERSION == "0.11.0" { "python3.11" } else { "python3.13" } }} -m venv build/librosa-{{VERSION}}
    build/librosa-{{VERSION}}/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]' librosa=={{VERSION}} pytest-mpl resampy samplerate
    build/librosa-{{VERSION}}/bin/python benchmarks/librosa_tests.py {{VERSION}} --json benchmarks/results/librosa_tests_{{VERSION}}.json {{ARGS}}

# ESC-10 from scratch, by nested cross-validation; FOLDER holds its clips and labels.csv.
bench-esc10 FOLDER *ARGS:
    {{python}} benchmarks/esc10.py {{FOLDER}} --json benchmarks/results/esc10.json {{ARGS}}

# The recipe for small sets on a catalogue, beside the rows that it chooses from; mean of 3 seeds.
bench-small-set CATALOGUE *ARGS:
    {{python}} benchmarks/small_set.py {{CATALOGUE}} {{ARGS}}

# The site, in build/site/index.html, from docs/ and the docstrings; a warning is an error.
docs *ARGS:
    {{python}} -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
    {{python}} -m sphinx -W --keep-going --quiet -d build/doctrees docs build/site {{ARGS}}
    KIT_SITE=build/site {{python}} -m pytest -q tests/test_site.py

# Remove what was computed; audio that you put into data/ stays.
clean:
    rm -rf runs build dist .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
    find kit tests -name __pycache__ -prune -exec rm -rf {} +
