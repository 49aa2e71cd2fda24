"""Reports of results: tables for terminals, csv, json, markdown and LaTeX."""
