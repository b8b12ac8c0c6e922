"""What the package `invact` and its command share, private to them. Importing it imports no torch."""
