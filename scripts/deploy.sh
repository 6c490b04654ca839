#!/usr/bin/env bash
# Deploy to an environment: scripts/deploy.sh staging [options of `omc deploy`]. Installs what that needs, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
make --silent setup
UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync --quiet --locked --inexact --no-dev --extra aws
exec .venv/bin/omc deploy "$@"
