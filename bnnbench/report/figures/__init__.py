"""Pictures as SVG files with their numbers beside them."""
