"""A container that writes the request's status at once, by the API server, while its pipeline still runs."""

import kratix_sdk as ks

sdk = ks.KratixSDK()
request = sdk.read_resource_input()
status = ks.Status()
status.set("message", f"{request.get_name()} is being made")
sdk.publish_status(request, status)
