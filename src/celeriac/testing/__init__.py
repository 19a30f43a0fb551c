"""The test kit: real servers, real workers, and registries that record or run in place."""
