"""The components that come with bnnbench. They are registered through entry points, as third-party ones are."""
