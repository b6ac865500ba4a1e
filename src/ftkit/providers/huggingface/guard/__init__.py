"""A folder of its own, so that vLLM's interpreter can be shown the one module in it, and nothing else of ftkit."""
