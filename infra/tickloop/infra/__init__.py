"""Servers on this machine: installed from package registries, started on loopback, stopped."""
