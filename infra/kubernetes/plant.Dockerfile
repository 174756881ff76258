# The image of plant.yaml.
# docker build -f infra/kubernetes/plant.Dockerfile -t tickloop:0.1.0 .
FROM python:3.11-slim

COPY requirements/run.txt /tmp/run.txt
RUN python -m pip install --no-cache-dir --require-hashes -r /tmp/run.txt
COPY . /tmp/tickloop
RUN python -m pip install --no-cache-dir --no-deps --no-build-isolation /tmp/tickloop \
    && rm -rf /tmp/tickloop \
    && useradd --uid 9100 --create-home tickloop

# Kernels are compiled once, into the volume that holds the data.
ENV NUMBA_CACHE_DIR=/data/kernels
USER 9100
ENTRYPOINT ["tickloop"]
