"""What a reader gets: the report with its pictures and charts, ``features.csv`` and the results schema."""
