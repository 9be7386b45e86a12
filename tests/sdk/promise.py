"""A container of a Promise's own workflow, for which the input is the Promise."""

import kratix_sdk as ks
import yaml

sdk = ks.KratixSDK()
assert sdk.is_promise_workflow() and not sdk.is_resource_workflow()
promise = sdk.read_promise_input()
crd = {"kind": "Marker", "name": promise.get_name(), "team": promise.get_labels()["team"]}
sdk.write_output("marker.yaml", yaml.safe_dump({**crd, "note": promise.get_annotations()["note"]}).encode())
