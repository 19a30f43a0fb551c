"""Working through data, item by item."""
