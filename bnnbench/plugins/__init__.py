"""Who provides data sets, networks, posteriors, objectives and attacks: discovery, quarantine, lookup."""
