"""The OpenAI-compatible server: who may ask, who answers, and what is written down, off the hot path."""
