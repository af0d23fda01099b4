"""The dashboard: a page about services, workers and their calls, which updates itself.

From the broker to the browser, one file an idea: ``source.py`` asks workers and queues (``roster.py``, ``queues.py``),
which gives a reading (``readings.py``). ``rates.py`` compares it with the last one, and ``snapshot.py`` makes the rows
of it that the page shows. ``feed.py`` makes events of them, and keeps the last minutes (``history.py``).
``audience.py`` does this once a second for all open pages (``viewer.py``). ``pages.py`` is HTTP, and
``access.py`` decides about each request; ``server.py`` joins all.
"""
