"""Deciding: from a record's conditions to codes, edits, queries and a checklist."""
