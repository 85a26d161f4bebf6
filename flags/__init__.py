"""The flags: declared by groups, checked, and read from files. parser.py puts them together."""
