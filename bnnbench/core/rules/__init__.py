"""What the core requires of plugins: of an attack, of a fit, and of any code that runs in the host's process."""
