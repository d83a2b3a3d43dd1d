# An image for drivers, workers and schedulers alike, so that all run the same code: docker build -t curation .
FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt "$(ls /wheels/*.whl)[az,gs,http,names,s3]"
RUN useradd --create-home curate
USER curate
WORKDIR /home/curate
CMD ["curate", "--help"]
