# The one image of this project: the function, the bridge, and the reader and writer of pipeline Jobs.
#
#   docker build -t function-kratix .
#   docker build -t function-kratix --build-arg BASE=<any image with Python 3.11 or newer, venv and pip> .
#   docker build -t function-kratix --build-arg LOCK=otel .    # with OpenTelemetry, for traces
#
# Both stages have one base: the venv of the first is run by the Python of the second.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ARG LOCK=runtime
WORKDIR /src
COPY requirements requirements
# Tools that build stay here; the venv that ships has no pip.
RUN python3 -m venv /build \
 && python3 -m venv --without-pip /venv \
 && /build/bin/pip install --no-cache-dir --require-hashes --requirement requirements/build.lock \
 && /build/bin/pip --python /venv/bin/python install --no-cache-dir --require-hashes --requirement requirements/${LOCK}.lock
COPY pyproject.toml README.md LICENSE ./
COPY function function
COPY bridge bridge
RUN /build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /build/bin/pip --python /venv/bin/python install --no-cache-dir --no-deps --prefix /project /wheels/*.whl

FROM ${BASE}
# What it needs changes seldom and is nearly all of it: a layer of its own, so that another version is a small download.
COPY --from=build /venv /venv
COPY --from=build /project /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# The user that Crossplane gives function pods; it needs no entry in /etc/passwd and writes nothing.
USER 2000:2000
WORKDIR /
# 9443: the function's gRPC; 8080: metrics and probes.
EXPOSE 9443 8080
ENTRYPOINT ["function-kratix"]
