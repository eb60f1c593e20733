"""Signal -> Candidate -> Verdict."""
