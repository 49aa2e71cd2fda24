"""The nouns: data sets, networks, posteriors, predictives, objectives, threats, attacks."""
