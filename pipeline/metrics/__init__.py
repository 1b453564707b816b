"""What happened, in numbers: a SQLite store that every process of Nightschool writes to, and what it can be asked."""
