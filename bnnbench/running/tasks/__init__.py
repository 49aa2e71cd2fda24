"""The functions that workers call for each kind of task."""
