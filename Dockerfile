# One image for every service of docker-compose.yml: the code location, the web server, the daemon, the gateway and the
# migration. Whatever a service keeps lies in the folder /var/lib/xeno; the image itself is never written to.

FROM python:3.13.9-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /opt/xeno
COPY deploy/requirements.lock deploy/
RUN pip install --require-hashes -r deploy/requirements.lock
COPY pyproject.toml README.md LICENSE dagster.yaml ./
COPY deploy/workspace.yaml deploy/
COPY dbt_project dbt_project
COPY xeno_pipeline xeno_pipeline
RUN pip install --no-deps --no-build-isolation --editable .
# dbt's parse is good for databases of one name; for another one, each new volume or pod parses once for itself.
ARG XENO_DATABASE_URL=postgresql://xeno@postgres:5432/xeno
RUN python -m xeno_pipeline.marts.bake

FROM python:3.13.9-slim-trixie
RUN useradd --uid 10001 --create-home xeno && install --directory --owner xeno --mode 700 /var/lib/xeno
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/xeno /opt/xeno
ENV PATH=/opt/venv/bin:$PATH XENO_HOME=/var/lib/xeno DAGSTER_HOME=/var/lib/xeno/dagster PYTHONUNBUFFERED=1
WORKDIR /opt/xeno
USER xeno
CMD ["xeno", "doctor"]
