"""The result backend: how results are stored, and how those who wait for them hear of it."""
