#!/usr/bin/env bash
# What action.yml runs: simic check with annotations in the log, all findings in the step's summary, and a
# JUnit file where one is asked.
#
#   INSTALL= SIMIC=simic BASELINE_REV= STRICT=false OTHER_RUNS=false JUNIT= NAME= RUNS= docs/ci/check.sh
#
# Exit code: that of simic check (0 nothing got worse, 1 a number moved for the worse, 3 nothing to compare with).
set -euo pipefail

# A wheel or a requirement: into an environment of its own, so that the project's packages are left alone.
if [ -n "${INSTALL:-}" ]; then
    environment="${RUNNER_TEMP:-${TMPDIR:-/tmp}}/simic-check"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check "$INSTALL" >&2
    SIMIC="$environment/bin/simic"
fi

arguments=(check run --format github)
[ -z "${BASELINE_REV:-}" ] || arguments+=(--baseline-rev "$BASELINE_REV")
[ "${STRICT:-false}" != true ] || arguments+=(--strict)
[ "${OTHER_RUNS:-false}" != true ] || arguments+=(--other-runs)
[ -z "${JUNIT:-}" ] || arguments+=(--report "junit=$JUNIT")
[ -z "${NAME:-}" ] || arguments+=(--name "$NAME")
if [ -n "${RUNS:-}" ]; then
    arguments+=(--)
    # One pattern or path per line; simic expands patterns itself.
    while IFS= read -r run; do
        [ -z "$run" ] || arguments+=("$run")
    done <<< "$RUNS"
fi
exec "${SIMIC:-simic}" "${arguments[@]}"
