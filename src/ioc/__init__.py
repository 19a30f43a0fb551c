"""The composition root: the only package that knows every class of the service."""
