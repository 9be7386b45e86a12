"""Runs a container's script as it is, with Kratix's folders somewhere else: `launch.py FOLDER SCRIPT`."""

import runpy
import sys

import kratix_sdk as ks

folder, script = sys.argv[1:]
ks.set_input_dir(f"{folder}/input")
ks.set_output_dir(f"{folder}/output")
ks.set_metadata_dir(f"{folder}/metadata")
runpy.run_path(script, run_name="__main__")
