"""Prices of a market, and the index that is computed from them."""
