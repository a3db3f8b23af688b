# Two stages: the first installs the locked requirements and the worker into a virtual environment, the second carries
# it alone. Hashes make it reproducible; it runs as an ordinary user and writes nothing but reports (mount a volume at
# their folder). Of the descriptions of all Google services, which take over 100 MB, it carries the one that is used.
FROM python:3.13-slim AS build
WORKDIR /build
RUN python3 -m venv /opt/segmentation
ENV PATH=/opt/segmentation/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/run.txt requirements/build.txt requirements/
RUN pip install --require-hashes -r requirements/build.txt -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY worker worker
RUN rm -rf worker/local \
 && pip install --no-deps --no-build-isolation . \
 && pip uninstall --yes setuptools pip \
 && find /opt/segmentation -name tests -type d -prune -exec rm -rf {} + \
 && find /opt/segmentation -path '*/googleapiclient/discovery_cache/documents/*' ! -name drive.v3.json -delete

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group segmentation \
 && install -d -o segmentation -g segmentation /var/lib/segmentation/reports
COPY --from=build /opt/segmentation /opt/segmentation
ENV PATH=/opt/segmentation/bin:$PATH PYTHONUNBUFFERED=1 SEGMENTATION_HTTP_ADDRESS=0.0.0.0:8080 \
    SEGMENTATION_REPORT_STORAGE=directory:/var/lib/segmentation/reports
USER 10001:10001
EXPOSE 8080
LABEL org.opencontainers.image.title=segmentation
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python3", "-c", \
  "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['SEGMENTATION_HTTP_ADDRESS'].rpartition(':')[2] + '/livez', timeout=4)"]
ENTRYPOINT ["segmentation"]
CMD ["run"]
