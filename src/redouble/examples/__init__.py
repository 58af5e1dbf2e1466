"""On top of all floors: five programs that show redouble at work, each with the server that it needs.

Run one by `python -m redouble.examples.ssh_on_boot`. redouble itself never imports them. Each is one file to copy: what
comes from `surroundings` is the server, the prints and the command line, and stays behind.
"""
