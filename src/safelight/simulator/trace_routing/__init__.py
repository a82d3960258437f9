"""Where each request of a trace would have gone by another routing policy, and what that would have cost."""
