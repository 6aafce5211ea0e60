"""The doors: read what comes in, call the extractor, print or convert what comes out. No clinical logic."""
