"""Backends: hf, openai, anthropic, replay."""
