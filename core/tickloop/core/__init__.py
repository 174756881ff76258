"""Schema, batch, symbols, clock, operators, config and errors: what every area shares."""
