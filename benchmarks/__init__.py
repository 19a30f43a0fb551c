"""What Celeriac costs and gains, measured against its peers in one interleaved run."""
