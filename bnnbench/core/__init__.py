"""The nouns, one a file: data sets, networks, draws, posteriors, predictives, objectives, threats, victims, attacks."""
