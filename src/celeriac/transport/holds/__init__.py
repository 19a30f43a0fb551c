"""Who has the place of a key: what unique tasks and debounced ones rest on."""
