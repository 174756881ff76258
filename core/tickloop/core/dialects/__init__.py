"""How each system spells the schema's kinds; one small file per system."""
