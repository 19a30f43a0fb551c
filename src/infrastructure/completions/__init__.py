"""Asking a language model, by OpenAI's protocol."""
