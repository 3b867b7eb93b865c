#!/usr/bin/env bash
# What a GPU gives, as one JSON on standard output: `bash tests/gpu.sh [--budget SECONDS] [--steps NAME,...]`.
# It installs rnnzoo beside the PyTorch that is there; see tests/gpu.py.
exec "${PYTHON:-python3}" "$(dirname "$0")/gpu.py" "$@"
