"""The AI tier's shell: rows, jobs, proof and prompts. What is decided about an answer is in ``healing.core.assist``."""
