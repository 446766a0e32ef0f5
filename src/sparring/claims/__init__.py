"""What each figure, table and statement of the papers asserts, how it is played, and how it is judged."""
