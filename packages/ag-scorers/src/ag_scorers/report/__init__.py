"""What a variant does, on one page for people: words, tables, pictures."""
