"""From outcomes to claims: metrics, intervals, the posterior card."""
