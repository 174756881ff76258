"""Feed handlers, transports, books, replay and a synthetic exchange."""
