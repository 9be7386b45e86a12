"""A container that asks to be run again."""

from datetime import timedelta

import kratix_sdk as ks

ks.KratixSDK().write_retry_after(timedelta(minutes=1, milliseconds=500), "the bucket is not there yet")
