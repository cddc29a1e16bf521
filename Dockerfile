# One image for web, worker, beat and prepare; docker-compose.yml says which is which.
FROM python:3.11-slim AS build
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes \
    --only-binary :all: -r requirements.txt && /venv/bin/pip check

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DEBUG=0
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin clearance
WORKDIR /app
COPY --from=build /venv /venv
COPY . .
# Collecting needs no secret, but the settings refuse to load without one.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(60))')" python manage.py collectstatic --no-input
USER clearance
EXPOSE 8000
STOPSIGNAL SIGTERM
# Web's; the settings answer only to the hosts they know, hence the header.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request as web; \
web.urlopen(web.Request('http://127.0.0.1:8000/api/v1/health/live', \
headers={'Host': os.environ['ALLOWED_HOSTS'].split(',')[0].lstrip('.')}), timeout=4)"]
CMD ["gunicorn", "clearance.wsgi:application", "--bind=0.0.0.0:8000", "--workers=2", "--threads=4", \
     "--graceful-timeout=20", "--max-requests=10000", "--max-requests-jitter=1000"]
