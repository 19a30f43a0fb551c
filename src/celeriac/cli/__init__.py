"""The ``celeriac`` command. Needs the extra ``cli``."""
