"""Who may do what: callers, their keys and tokens, permissions, rates, and the record of what was done."""
