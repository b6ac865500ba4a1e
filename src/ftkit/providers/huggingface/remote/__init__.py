"""Training on machines of the Hub: `huggingface(compute="jobs")`.

What a job is made of lies at the Hub, so that any machine with a token sees the same:

    datasets/<owner>/ftkit-file-<24 hex>    a training file; private, named by its key
    datasets/<owner>/ftkit-code             ftkit itself, as the jobs run it; named by its content
    <owner>/<suffix>-ftjob-<24 hex>         what came of a job; private, named by its key. The branch `training` is the
                                            job's folder as local training has it, as of the last checkpoint; `main` is
                                            the tuned model with its card

A job of ours is one or several of the Hub's (`runs`): after a timeout, or the loss of its machine, the next goes on
from the last checkpoint. Each bears the id of our job, and its number, as labels, and in its environment what was asked
for. On its machine a `carrier` fetches the folder, lets the very trainer of local training work in it, and carries
back what comes of it.
"""
