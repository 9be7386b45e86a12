"""The reader and the writer in the pod of a pipeline's Job.

    python -m function.adapter read REQUEST INPUT       /kratix-fn/request -> /kratix/input
    python -m function.adapter write OUTPUT METADATA    /kratix/output, /kratix/metadata -> ConfigMaps

They are where Kratix has its `reader` and `work-writer` (work-creator/cmd). The writer speaks to the API server with
the pod's ServiceAccount, which may touch nothing but the ConfigMaps of this run. It may run again (the kubelet restarts
it, or the Job makes another pod): it replaces what is there. What the function must tell the user is in a ConfigMap,
since the function sees neither pods nor logs; a person finds the same sentence in the pod's termination message.

Both must start at once on a slow machine: they import the standard library and nothing else, of that the network's part
in the writer only, and YAML where there is metadata to check.
"""
