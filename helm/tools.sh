#!/usr/bin/env bash
# Makes what test/deploy/helm.test.ts needs and has no other way to: helm and kubeconform, built by Go, and the schemas of
# Kubernetes, the Gateway API and the Prometheus operator, out of their own Go modules. Needs Go and its module proxy. The
# first time takes about two minutes of two cores, later ones nothing. HELM_TOOLS names another folder than the cache's.
set -euo pipefail
[ -n "${BOUNDED-}" ] || BOUNDED=1 exec timeout --kill-after=20 900 bash "$0"

HELM=v3.22.0 KUBECONFORM=v0.8.0 KUBERNETES=v1.36.3 OLD_KUBERNETES=1.30 GATEWAY=v1.6.2 PROMETHEUS=v0.85.0
tools=${HELM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/throughline-helm}
made="$HELM $KUBECONFORM $KUBERNETES $OLD_KUBERNETES $GATEWAY $PROMETHEUS"
if [ "$(cat "$tools/made" 2>/dev/null)" = "$made" ]; then exit 0; fi

command -v go >/dev/null || { echo 'helm/tools.sh needs Go 1.26 or newer: https://go.dev/dl' >&2; exit 1; }
mkdir -p "$tools/schemas"
rm -f "$tools/made"

# Prints where a module's files are.
module() { go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'; }

echo 'helm/tools.sh: building helm and kubeconform' >&2
# Without optimising: what they do here takes milliseconds, the building is what takes long.
GOBIN=$tools/bin go install -gcflags='all=-N -l' -ldflags='-s -w' "helm.sh/helm/v3/cmd/helm@$HELM"
GOBIN=$tools/bin go install "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM"

groups=(apps/v1 autoscaling/v2 networking.k8s.io/v1 policy/v1)
new=$tools/schemas/${KUBERNETES#v} old=$tools/schemas/$OLD_KUBERNETES.0
mkdir -p "$new" "$old"
from=$(module "k8s.io/kubernetes@$KUBERNETES")/api/openapi-spec/v3
cp "$from/api__v1_openapi.json" "$new/core.json"
for group in "${groups[@]}"; do cp "$from/apis__${group/\//__}_openapi.json" "$new/${group//\//-}.json"; done
from=$(module sigs.k8s.io/kubectl-validate@v0.0.4)/pkg/openapiclient/builtins/$OLD_KUBERNETES
cp "$from/api/v1.json" "$old/core.json"
for group in "${groups[@]}"; do cp "$from/apis/$group.json" "$old/${group//\//-}.json"; done
crds=$tools/schemas/crds
mkdir -p "$crds"
cp "$(module "sigs.k8s.io/gateway-api@$GATEWAY")/config/crd/standard/gateway.networking.k8s.io_httproutes.yaml" "$crds"
from=$(module "github.com/prometheus-operator/prometheus-operator@$PROMETHEUS")/example/prometheus-operator-crd
cp "$from"/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml "$crds"
chmod -R u+w "$tools/schemas"
echo "$made" >"$tools/made"
