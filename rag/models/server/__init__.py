"""An LLM server on the operator's own premises that speaks OpenAI's chat completions."""
