"""gunicorn's settings: `gunicorn --config web/gunicorn.conf.py web.wsgi:app`.

Options on the command line, such as `--workers 4` or `--bind`, win over these.
"""
# ruff: noqa: N999  # a file of settings, under gunicorn's name for it

from web.startup import settings_or_exit

_settings = settings_or_exit()

# Local mode signs people in by a link and moves no money: it is for this machine only.
bind = f"{'127.0.0.1' if _settings.environment == 'local' else '0.0.0.0'}:{_settings.port}"  # noqa: S104
worker_class = "gthread"
workers = 2
threads = 8
# Each process connects for itself; a fork of an open pool would share its sockets.
preload_app = False
# A request waits for the database at most 20 seconds; a restart lets it end.
timeout = 60
graceful_timeout = 30
keepalive = 75  # longer than load balancers keep idle connections
limit_request_line = 4096
limit_request_fields = 64
limit_request_field_size = 8190
control_socket_disable = True
accesslog = None
errorlog = "-"
loglevel = "warning"
