"""The lossless transport on Redis: what a worker holds stays on the server under a lease until it is acknowledged."""
