"""What a test of a fault is made of: servers and workers that can be broken, a producer, a ledger, a verdict."""
