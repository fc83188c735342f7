# The platform's images: `services` for everything but rendering, `video` with ffmpeg for video-worker.
#   docker build --target services --build-arg RELEASE=0.1.0 --tag easymo-platform:0.1.0 .
# The base is pinned by version. A release pins it by digest as well, which only the registry knows:
#   docker build --build-arg PYTHON=python:3.11.14-slim-bookworm@sha256:… --target services …
ARG PYTHON=python:3.11.14-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /build
COPY docker/services.lock ./
# --without-pip: what runs in production cannot install anything.
RUN python -m venv --without-pip /opt/easymo \
  && python -m pip --python /opt/easymo/bin/python --disable-pip-version-check install \
    --no-cache-dir --no-deps --require-hashes --only-binary :all: --requirement services.lock

FROM build AS build-video
COPY docker/video.lock ./
RUN python -m pip --python /opt/easymo/bin/python --disable-pip-version-check install \
    --no-cache-dir --no-deps --require-hashes --only-binary :all: --requirement video.lock

FROM ${PYTHON} AS platform
RUN groupadd --system --gid 10001 easymo \
  && useradd --system --uid 10001 --gid easymo --no-create-home --shell /usr/sbin/nologin easymo
WORKDIR /app
# The root file system is read-only in the cluster, so bytecode is written here or never.
ENV PATH=/opt/easymo/bin:$PATH PYTHONPATH=/app/src PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PORT=8080
# What dashboards call the version.
ARG RELEASE=unreleased
ENV RELEASE=${RELEASE}
COPY src/ src/
COPY supabase/ supabase/
RUN python -m compileall -q src
USER 10001:10001
EXPOSE 8080
# For Docker; a cluster asks /health/ready itself.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/live', timeout=2)"]
ENTRYPOINT ["python", "-m", "easymo_platform"]

FROM platform AS services
COPY --from=build /opt/easymo /opt/easymo

FROM platform AS video
COPY --from=build-video /opt/easymo /opt/easymo
