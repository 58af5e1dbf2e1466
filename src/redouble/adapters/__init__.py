"""One small file per third-party library, on top of all floors; each imported only by its users.

`pip install redouble[NAME]` installs the library that `redouble.adapters.NAME` is for.
"""
