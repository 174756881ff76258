"""Questions over ticks."""
