"""The attacks on the promise of exactly once, for every provider: `ProviderAttacks`, and what it is made of."""
