"""Sinks: stores and buses outside the plant, each a subscriber with a durable cursor."""
