"""What a reader of a page has done between its commands (walks.py): shell, on the clusters of the tutorials."""

from __future__ import annotations


def api(name: str, kind: str, group: str, *, pipelines: str = "{}") -> str:
    """A Promise, whose kind has the plural NAMEs or, after an s, NAMEes."""
    plural = f"{name}es" if name.endswith("s") else f"{name}s"
    return f"""
kubectl apply -f - <<'END'
apiVersion: platform.kratix.io/v1alpha1
kind: Promise
metadata:
  name: {name}
  labels: {{kratix.io/promise-version: v1.0.0}}
  annotations: {{bridge.kratix.io/clusters: zone=eu}}
spec:
  workflows: {{resource: {pipelines}}}
  api:
    apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {{name: {plural}.{group}}}
    spec:
      group: {group}
      names: {{kind: {kind}, plural: {plural}, singular: {name}}}
      scope: Namespaced
      versions:
        - name: v1alpha1
          served: true
          storage: true
          schema:
            openAPIV3Schema:
              type: object
              properties:
                spec: {{type: object, properties: {{env: {{type: string}}, costCentre: {{type: string}}}}}}
END
"""


def pipeline(action: str, name: str) -> str:
    """A workflow of one pipeline, that is not tried again by its Job."""
    container = "{name: work, image: registry.example.org/work:v1}"
    spec = f"{{jobOptions: {{backoffLimit: 0}}, containers: [{container}]}}"
    head = "apiVersion: platform.kratix.io/v1alpha1, kind: Pipeline"
    return f"{{{action}: [{{{head}, metadata: {{name: {name}}}, spec: {spec}}}]}}"


POSTGRES = "postgreses.xp.databases.example.org"
INPUT = """
kubectl apply -f - <<'END'
apiVersion: v1
kind: ConfigMap
metadata:
  name: postgres-input
  namespace: kratix-bridge-system
  labels: {bridge.kratix.io/input-for: postgres}
data:
  input.yaml: |
    documents:
      - name: made
        manifest: {apiVersion: v1, kind: ConfigMap, metadata: {name: "made-${request.metadata.name}"}, data: {}}
    workflow: {image: "registry.example.org/function-kratix:v0.1.0"}
    deliver: {as: Composed}
END
"""
PUBLISHED = f"""
kubectl label promise postgres bridge.kratix.io/publish=true
kubectl wait crossplanecluster eu-1 eu-2 --for=jsonpath='{{.status.counts.published}}'=1 --timeout=3m
kubectl --context eu-1 wait xrd {POSTGRES} --for=condition=Established --timeout=3m
kubectl config use-context eu-1
kubectl create namespace team-a
"""


def xr(name: str) -> str:
    """An XR, made as soon as its kind is served."""
    manifest = f"{{apiVersion: xp.databases.example.org/v1alpha1, kind: Postgres, metadata: {{name: {name}, namespace: team-a}}, spec: {{env: dev}}}}"
    return f"until echo '{manifest}' | kubectl --context eu-1 apply -f -; do sleep 1; done\n"


def held(name: str) -> str:
    """Until the bridge has its finalizer on an XR that is Ready."""
    return f"""
kubectl --context eu-1 -n team-a wait postgres {name} --for=condition=Ready --timeout=3m
until kubectl --context eu-1 -n team-a get postgres {name} -o jsonpath='{{.metadata.finalizers}}' | grep delete-workflow
do sleep 1; done
"""


_FILES = "deployment ui replies requests deletions crossplane platform bridge.kratix.io_crossplaneclusters"
NOT_BY_KUBECTL = f"""
for cluster in platform eu-1; do
  kubectl --context $cluster delete --ignore-not-found $(printf -- '-f package/deploy/bridge/%s.yaml ' {_FILES})
done
export IMAGE=registry.example.org/function-kratix DIGEST=sha256:$(printf %064d 0)
"""
DESTINATIONS = """
for name in platform-cluster eu-1; do
  kubectl apply -f - <<END
apiVersion: platform.kratix.io/v1alpha1
kind: Destination
metadata: {name: $name}
spec: {path: $name, stateStoreRef: {kind: GitStateStore, name: platform}}
END
done
"""
KUBECONFIG = """
kubectl config view --context eu-1 --raw --minify --flatten > eu-1.kubeconfig
token=$(kubectl --context eu-1 -n kratix-bridge-system create token kratix-crossplane-bridge)
kubectl config --kubeconfig eu-1.kubeconfig set-credentials bridge --token="$token"
kubectl config --kubeconfig eu-1.kubeconfig set-context --current --user=bridge
"""
# The page's own manifests: the cluster, and what the platform team adds.
RUNS = """
kubectl apply -f yaml-1.yaml -f yaml-2.yaml
kubectl config view --raw --minify --flatten > platform.kubeconfig
kratix-crossplane bridge --kubeconfig platform.kubeconfig --listen 127.0.0.1:0 --text > bridge.log 2>&1 &
kubectl wait crossplanecluster eu-1 --for=condition=Reachable --timeout=3m
"""
SYNCED = """
kubectl wait crossplanecluster eu-1 --for=jsonpath='{.status.counts.published}'=1 --timeout=3m
kubectl wait crossplanecluster eu-1 --for=condition=Synced --timeout=3m
"""
FAILED = f"""
kubectl --context eu-1 apply -f package/deploy/bridge/deletions.yaml
kubectl patch crossplanecluster eu-1 --type=merge -p '{{"spec": {{"deletions": {{}}}}}}'
{api("postgres", "Postgres", "databases.example.org", pipelines=pipeline("delete", "clean"))}{INPUT}{PUBLISHED}
{xr("orders")}{held("orders")}
kubectl -n team-a delete postgres orders --wait=false
until kubectl -n team-a get pods -o name | grep .; do sleep 1; done
for pod in $(kubectl -n team-a get pods -o name); do  # as a kubelet would tell it
  kubectl -n team-a patch $pod --subresource=status --type=merge -p '{{"status": {{"phase": "Failed"}}}}'
done
until kubectl -n team-a get postgres orders -o jsonpath='{{.status.conditions}}' | grep PipelineFailed; do sleep 1; done
"""
ANOTHER = f"""
kubectl -n team-a wait postgres orders --for=delete --timeout=3m
{xr("users")}{held("users")}
kubectl config use-context platform
kubectl apply -f package/deploy/bridge/deployment.yaml
kill %1
wait
"""
REQUEST = """
kubectl wait crossplanecluster eu-1 eu-2 --for=jsonpath='{.status.counts.published}'=1 --timeout=3m
until kubectl get crd postgreses.databases.example.org; do sleep 1; done
kubectl wait crd postgreses.databases.example.org --for=condition=Established --timeout=3m
kubectl create namespace team-a
cat > request.yaml <<'END'
apiVersion: databases.example.org/v1alpha1
kind: Postgres
metadata: {name: orders, namespace: team-a}
spec: {env: dev}
END
"""
PAGE = """
until python -c 'import urllib.request as r; r.urlopen("http://127.0.0.1:8081/ui/")' 2> /dev/null; do sleep 1; done
"""

CLEAN = f"""
jobs -p | xargs -r kill || true
wait
kubectl config use-context platform
for cluster in eu-1 eu-2; do
  kubectl --context $cluster delete namespace team-a --ignore-not-found --wait=false
  for name in {POSTGRES} postgresqls.xp.marketplace.example.org; do
    kubectl --context $cluster delete xrd,composition $name --ignore-not-found
  done
  kubectl --context $cluster delete namespace team-a --ignore-not-found
  kubectl --context $cluster -n kratix-bridge-system get secrets -l owner=helm -o name | grep -q . &&
    helm --kube-context $cluster uninstall bridge -n kratix-bridge-system || true
done
! kubectl get crd crossplaneclusters.bridge.kratix.io || kubectl delete crossplaneclusters --all
kubectl -n kratix-bridge-system delete secret eu-1 eu-2 --ignore-not-found
kubectl delete promise postgres postgresql crossplane-bridge --ignore-not-found --timeout=2m
kubectl delete destination platform-cluster eu-1 --ignore-not-found
kubectl delete clusterrolebinding platform-viewers --ignore-not-found
kubectl delete namespace team-a platform-team --ignore-not-found
"""
