"""The words that every room uses: requests, work, outcomes and errors."""
