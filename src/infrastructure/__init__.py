"""Adapters that fulfil the ports of core. They know core and nothing above them."""
