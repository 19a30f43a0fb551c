"""What an application can be told, by whom, and what Celery gets of it."""
