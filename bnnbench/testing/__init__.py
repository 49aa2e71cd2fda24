"""What tests of checks, attacks and certificates need: models and attacks that are broken in known ways."""
