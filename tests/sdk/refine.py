"""A second container of the same pipeline: it reads what the first one left, and changes it."""

import kratix_sdk as ks

sdk = ks.KratixSDK()
status = sdk.read_status()
status.remove("scratch")
status.set("connection.port", 5432)
sdk.write_status(status)
selectors = sdk.read_destination_selectors()
selectors[0].match_labels["zone"] = "eu"
sdk.write_destination_selectors(selectors)
