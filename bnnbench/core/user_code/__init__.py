"""What the code of a user is: its files, how they are imported, and the files that they read."""
