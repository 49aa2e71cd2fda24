"""From a benchmarks file to the fits and cells that it asks for. Nothing here runs anything."""
