"""From claims to people: tables, csv, json, markdown, latex."""
