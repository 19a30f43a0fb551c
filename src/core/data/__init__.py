"""Working through data: tables, their items, and what became of them."""
