"""`ftkit serve`: OpenAI's and Azure's fine-tuning API, in front of any provider.

A request comes through `guard` (keys, limits, the log), is read by `routes` and written by a dialect (`dialects`).
What is asked for lies in `store` before it is answered. `foreman` and `moving` take jobs from there to the provider,
through `Client`; `serving` and `deployments` have models answer. `office` puts it all together, `running` serves it.
"""
