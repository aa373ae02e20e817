"""Jobs of a sweep, a search or a study: in processes of their own, written down, watched, and gone on with."""
