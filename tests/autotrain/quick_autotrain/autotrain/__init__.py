"""A stand-in for AutoTrain 0.8.36 that starts at once: it makes a Space with the requests that AutoTrain makes.

That they are the same is checked in test_spaces.py, where the real one makes a Space, too.
"""
