"""From a benchmarks file to outcomes in a store."""
