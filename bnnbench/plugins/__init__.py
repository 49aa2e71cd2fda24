"""Find installed plugins, set broken ones aside, and look up the components that they register."""
