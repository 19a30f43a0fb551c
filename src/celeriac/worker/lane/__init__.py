"""The pool of processes that consume by themselves."""
