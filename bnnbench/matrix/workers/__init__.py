"""Worker processes: how they are born, watched, replaced and ended."""
