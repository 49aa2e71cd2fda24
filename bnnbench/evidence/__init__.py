"""Turn stored outcomes into evidence: results, rows of reports, worst cases, and the posterior card."""
