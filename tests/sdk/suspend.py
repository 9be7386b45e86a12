"""A container that stops the workflow until a person lets it go on."""

import kratix_sdk as ks

ks.KratixSDK().write_suspend("waits for the DBA")
