"""slowwave: sleep for language models. Import the room you need; this package imports nothing heavy itself."""

__version__ = "0.1.0"
