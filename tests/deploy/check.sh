#!/usr/bin/env bash
# Holds what is in deploy/ against the tools that read it. `make deployment` has installed them.
# What nothing here can do: build the image (its bases come from a registry), and start it, the chart or the unit.
set -euo pipefail
cd "$(dirname "$0")/../.."

program="${PROGRAM:-target/debug/fanfare}"
made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT

hadolint deploy/docker/Dockerfile
check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/compose.yaml deploy/compose/cluster.yaml
# The servers' own look at their configuration, of each of the three.
for name in nats-1 nats-2 nats-3; do
  NATS_NAME="$name" NATS_PASSWORD=secret nats-server -t -c deploy/compose/nats.conf >"$made/said" 2>&1 || { cat "$made/said" >&2; exit 1; }
done

chart=deploy/helm/fanfare
least=(--set publicUrl=https://fanfare.example.com)
all=("${least[@]}" --set ingress.enabled=true --set ingress.host=fanfare.example.com --set ingress.className=nginx
  --set ingress.tlsSecret=tls --set existingSecret=secrets --set persistence.storageClass=ssd
  --set 'settings.retry_delays={1s,10s}' --set settings.demo=false --set settings.concurrency=7
  --set 'settings.trusted_proxy={10.0.0.0/8}' --set-string 'settings.log=info\,fanfare::deliver=debug')
helm lint --quiet --strict "$chart" "${least[@]}"
for values in least all; do
  declare -n given="$values"
  helm template release "$chart" "${given[@]}" >"$made/$values.yaml"
  kubernetes-validate --quiet --strict "$made/$values.yaml"
  # The program takes the settings that the chart writes: it fails only because nobody listens there.
  "$TEST_PYTHON" - "$made/$values.yaml" "$made/fanfare.toml" <<'PYTHON'
import sys, yaml
documents = yaml.safe_load_all(open(sys.argv[1]))
settings = next(document for document in documents if document["kind"] == "ConfigMap")
open(sys.argv[2], "w").write(settings["data"]["fanfare.toml"])
PYTHON
  code=0
  "$program" ready --config "$made/fanfare.toml" --server http://127.0.0.1:1 2>"$made/said" || code=$?
  [ "$code" = 1 ] || { cat "$made/said" "$made/fanfare.toml" >&2; echo "the chart writes settings that the program does not take" >&2; exit 1; }
done
for wrong in "publicUrl=fanfare.example.com" "settings.listen=1" "ingress.enabled=true" "unknown=1"; do
  if helm template release "$chart" "${least[@]}" --set "$wrong" >/dev/null 2>&1; then
    echo "the chart takes $wrong" >&2
    exit 1
  fi
done

# The program's own place is not there on a machine that only checks.
sed 's#^ExecStart=[^ ]*#ExecStart=/bin/true#' deploy/systemd/fanfare.service >"$made/fanfare.service"
systemd-analyze verify "$made/fanfare.service"
systemd-analyze security --offline=true --threshold=20 --no-pager "$made/fanfare.service" >"$made/said" || { cat "$made/said" >&2; exit 1; }
echo "deploy/: Dockerfile, compose files, chart and unit are as their tools want them"
