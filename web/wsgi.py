"""What gunicorn serves: `gunicorn --config web/gunicorn.conf.py web.wsgi:app`."""

from shared.observability import configure
from web import create_app
from web.startup import settings_or_exit

settings = settings_or_exit()
configure(settings, "web")
app = create_app(settings)
