"""A pipeline's first container, written with Kratix's SDK as its authors would: it knows nothing of Crossplane."""

import kratix_sdk as ks
import yaml

sdk = ks.KratixSDK()
request = sdk.read_resource_input()
kind = request.get_group_version_kind()

claim = {
    "apiVersion": "acid.zalan.do/v1",
    "kind": "postgresql",
    "metadata": {
        "name": request.get_name(),
        "namespace": request.get_namespace(),
        "labels": {"team": request.get_labels()["team"]},
        "annotations": {
            "promise": sdk.promise_name(),
            "pipeline": sdk.pipeline_name(),
            "workflow": f"{sdk.workflow_type()}/{sdk.workflow_action()}",
            "kind": f"{kind.kind}.{kind.version}.{kind.group}",
        },
    },
    "spec": {
        "volume": {"size": f"{request.get_value('spec.size')}Gi"},
        "replicas": request.get_value("spec.ha", default=1),
    },
}
assert request.get_annotations() == {"note": "urgent"}
assert request.get_status().get("message") == "as before"
assert sdk.is_resource_workflow() and not sdk.is_promise_workflow()
assert sdk.is_configure_action() and not sdk.is_delete_action()
sdk.write_output("claim.yaml", yaml.safe_dump(claim).encode())
sdk.write_output("backup/bucket.yaml", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: backup}\n")
sdk.write_output("backup/seed.bin", bytes(range(256)))

status = ks.Status()
status.set("message", f"postgres of {request.get_value('spec.size')} GiB")
status.set("connection.host", "orders.team-a.svc")
status.set("scratch", True)
sdk.write_status(status)
sdk.write_destination_selectors(
    [
        ks.DestinationSelector(match_labels={"environment": "dev"}),
        ks.DestinationSelector(directory="backup", match_labels={"storage": "cold"}),
    ]
)
