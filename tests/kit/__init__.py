"""A small service of the test-suite's own, which exercises the kit without the real one."""
