"""Run a plan: schedule its tasks, dispatch them to a pool, keep their results, and repeat runs to compare them."""
