# Recipes for those who work on llmdbg; `just` alone lists them. Each is a command that can be typed without just.

_list:
    @just --list --unsorted

# Every check that a change has to pass
check:
    .ci/run

# The tests whose names contain FILTER, or all
test *FILTER:
    cargo test --release -- {{FILTER}}

# Write what is generated: docs/commands.md, the outputs in docs/cookbook.md, docs/tour.md
bless:
    UPDATE_DOCS=1 cargo test --release -- manual cookbook documents tour

# Make fixtures again (needs `pip install -e python -e tools`), or check them: `just fixtures --check`
fixtures *ARGS:
    cd tools && python -m fixtures {{ARGS}}

# Fuzz a parser (config, gguf, index, pytorch, safetensors), from the seeds on
fuzz TARGET:
    mkdir -p fuzz/corpus && cp -r fuzz/seeds/. fuzz/corpus
    cargo +nightly fuzz run {{TARGET}}

# Measure passes, stops, conditions and the interface
bench *ARGS:
    cargo bench {{ARGS}}

# Train a bundled model from nothing: tiny-gpt2 or tiny-bert
train MODEL:
    cargo run --release -p llmdbg-training --bin {{MODEL}}
