"""Programs that show redouble at work, each with the server that it needs; redouble itself imports none of them.

    python -m redouble.examples.ssh_on_boot             waits for SSH on a machine that boots
    python -m redouble.examples.export_or_tree          reads all at once, or page by page from where it stopped
    python -m redouble.examples.reconnecting_terminal   keeps a WebSocket alive, and has a button that reconnects
    python -m redouble.examples.device_code             logs in on another device
    python -m redouble.examples.push_latest             pushes the newest state

Each is one file to copy: only the server, the prints and the command line come from `surroundings`. Each takes
`--help`, `--on HOST` (threads, asyncio or trio) and `--seconds N`.
"""
