"""The fast lane: a pool whose processes take messages by themselves and run them in place."""
