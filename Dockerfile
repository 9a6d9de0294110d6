FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.txt .
RUN pip install --require-hashes -r requirements.txt && useradd --create-home --uid 10001 refill
COPY shared shared
USER refill

# Only for docker-compose.yml: docker build --target local-stripe .
FROM base AS local-stripe
COPY local local
ENTRYPOINT ["python", "-m", "local.stripe"]

# The default. One image for every line of the Procfile. There is no default for REFILL_ENV: say where it runs.
FROM base AS refill
COPY sql sql
COPY web web
COPY workers workers
COPY Procfile .
EXPOSE 8000
CMD ["gunicorn", "--config", "web/gunicorn.conf.py", "web.wsgi:app"]
